"""The kernel's source holds nothing that a compiled twin could read differently."""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable

import pytest

import omega.engine
from omega.engine import KERNEL

for module in pkgutil.iter_modules(omega.engine.__path__):
    importlib.import_module(f"omega.engine.{module.name}")  # each registers its rules

ALLOWED = (
    ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.If, ast.IfExp, ast.Assign, ast.Compare, ast.BoolOp,
    ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Tuple, ast.Load, ast.Store, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.USub, ast.Not, ast.And, ast.Or, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip
NAMES = {function.__name__ for function in KERNEL}


def violations(source: str) -> list[str]:
    """List what a function's source holds outside the dialect."""
    tree = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    found = []
    for node in (node for statement in body for node in ast.walk(statement)):
        if not isinstance(node, ALLOWED):
            found.append(type(node).__name__)
        if isinstance(node, ast.Constant) and type(node.value) not in {int, float, bool}:
            found.append(f"constant {node.value!r}")
        if isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in NAMES | {"min", "max", "int", "float"}
        ):
            found.append(f"call {ast.dump(node.func)}")
    return found


@pytest.mark.parametrize("function", KERNEL, ids=lambda f: f.__name__)
def test_kernel_function_source_stays_within_the_dialect(function: Callable[..., object]):
    assert violations(inspect.getsource(function)) == []


@pytest.mark.parametrize("function", KERNEL, ids=lambda f: f.__name__)
def test_kernel_function_calls_only_functions_recorded_before_it(function: Callable[..., object]):
    order = [f.__name__ for f in KERNEL]
    nodes = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}

    assert all(order.index(name) < order.index(function.__name__) for name in called & NAMES)


@pytest.mark.parametrize(
    "line",
    [
        "return a ** 2",
        "return None",
        "return math.sqrt(a)",
        "raise ValueError",
        "for i in a: pass",
        "return 'x'",
        "return abs(a)",
    ],
)
def test_dialect_check_refuses_what_it_should(line: str):
    assert violations(f"def f(a: float) -> float:\n    {line}\n")


def test_kernel_records_every_function_once():
    assert len(NAMES) == len(KERNEL)
