"""Rules of the house over its own code, read as a tree: errors, topics, ports, domain values, one door to exchanges."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import get_type_hints

import pytest

import omega.domain
from omega import errors
from omega.errors import OmegaError

ROOT = Path(__file__).resolve().parents[3]
CODE = ("omega", "services", "bots", "personas")
OWN_TREE = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, OmegaError)}
CONTRACTS_OF_PYTHON = {
    "AttributeError",  # __getattr__
    "KeyError",  # a mapping's __getitem__
    "NotImplementedError",  # a method that a subclass must give
    "StopAsyncIteration",  # __anext__
    "TypeError",  # a caller that breaks a signature, as Python itself says it
    "ValueError",  # validators of pydantic, which turn it into a finding of ours
    "SystemExit",  # the command line's end
}
"""What Python and pydantic ask code to raise; it never travels between parts of the farm."""


Nodes = Sequence[ast.AST]
ASKED = (ast.Raise, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Constant, ast.Expr, ast.keyword)
"""The kinds of node that a rule below asks about."""


def nodes(text: str) -> Nodes:
    """Return what the rules look at in a module."""
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ASKED)]


@pytest.fixture(scope="module")
def code() -> dict[str, Nodes]:
    """Every module that a service may run, by path."""
    paths = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")) if "testing" not in path.parts]
    return {path.relative_to(ROOT).as_posix(): nodes(path.read_text(encoding="utf-8")) for path in paths}


def foreign_raises(tree: Nodes) -> set[str]:
    """Return the built-in exceptions that a module raises and neither our tree nor a contract of Python names."""
    raised = {
        ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        for node in tree
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    known = {name for name in raised if inspect.isclass(getattr(builtins, name, None))}
    return known - CONTRACTS_OF_PYTHON


def foreign_classes(tree: Nodes) -> set[str]:
    """Return the exception classes of a module that stand outside our tree and are public."""
    bases = {node.name: {ast.unparse(base) for base in node.bases} for node in tree if isinstance(node, ast.ClassDef)}
    return {
        name
        for name, of in bases.items()
        if not name.startswith("_") and of & {"Exception", "BaseException", "RuntimeError", "OSError"}
    }


@pytest.mark.req("0.26", "2.128")
def test_rules_every_error_that_is_raised_belongs_to_the_tree(code: dict[str, Nodes]) -> None:
    """Two classes beside the root stand outside on purpose, an outcome inside its own package: see their docstrings."""
    outside = {
        "omega/errors.py": {"OmegaError"},
        "omega/chaos/acts.py": {"Skipped"},
        "omega/backtest/compile.py": {"NotCompiled"},
    }

    assert {path: found for path, tree in code.items() if (found := foreign_raises(tree))} == {}
    assert {path: found for path, tree in code.items() if (found := foreign_classes(tree))} == outside
    assert {"TransientError", "Unresolved", "Denied"} <= OWN_TREE


def test_rules_a_planted_foreign_error_is_seen() -> None:
    planted = nodes("class Oops(Exception): ...\ndef f():\n    raise RuntimeError('x')\n")

    assert foreign_raises(planted) == {"RuntimeError"}
    assert foreign_classes(planted) == {"Oops"}


TOPIC = re.compile(r":(?:md|hb|cosmic|intent|evt|ctl|cfg|req|rep|dlq)(?::|$)")
SPELLS_TOPICS = {
    "omega/bus/topics.py",  # the one module
    "omega/bus/acl.py",  # its docstring's patterns of the server's rights
    "omega/bus/inspect.py",  # reads lanes back out of a name
}


def topic_literals(tree: Nodes) -> set[str]:
    """Return the texts of a module that spell a topic; docstrings and examples of a command's help apart."""
    texts = {id(node.value) for node in tree if isinstance(node, ast.Expr)}
    texts |= {id(word.value) for word in tree if isinstance(word, ast.keyword) and word.arg == "epilog"}
    return {
        node.value
        for node in tree
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
        if TOPIC.search(node.value)
    }


@pytest.mark.req("2.40")
def test_rules_topics_are_spelled_in_one_module_alone(code: dict[str, Nodes]) -> None:
    found = {path: texts for path, tree in code.items() if (texts := topic_literals(tree))}

    assert "omega/bus/topics.py" in found
    assert {path: texts for path, texts in found.items() if path not in SPELLS_TOPICS} == {}
    assert topic_literals(nodes('"""dev:md:bar"""\nx = f"{env}:evt:ledger"\n')) == {":evt:ledger"}


@pytest.mark.req("3.01")
def test_rules_exchanges_are_spoken_to_from_one_package(code: dict[str, Nodes]) -> None:
    """`@venue` and ccxt stand below services/gateway/venues; the lake pulls public candles, with no account."""
    home, lake = "services/gateway/venues/", "omega/storage/lake/history.py"
    adapters = {
        path
        for path, tree in code.items()
        for node in tree
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(mark).startswith("venue(") for mark in node.decorator_list)
    }
    clients = {
        path
        for path, tree in code.items()
        for node in tree
        if (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "ccxt")
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "ccxt" for alias in node.names))
    }

    assert {Path(path).stem for path in adapters} >= {"bitget", "binance", "bybit", "okx", "kraken"}
    assert {path for path in adapters if not path.startswith(home)} <= {"services/gateway/memory_venue.py"}
    assert {path for path in clients if not path.startswith(home)} == {lake}


def domain_classes() -> list[type]:
    """Return every class that the domain defines."""
    found = []
    for info in pkgutil.iter_modules(omega.domain.__path__, "omega.domain."):
        module = importlib.import_module(info.name)
        found += [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == info.name]
    return found


@pytest.mark.req("4.26")
def test_rules_domain_values_are_frozen_and_annotated() -> None:
    """A value that passed the edge cannot be spoilt inside: nothing of the domain can be assigned to."""
    kinds = [kind for kind in domain_classes() if not issubclass(kind, Enum)]
    loose = [
        kind.__name__
        for kind in kinds
        if not (dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen and hasattr(kind, "__slots__"))
    ]

    assert len(kinds) >= 8
    assert loose == []
    assert all(get_type_hints(kind) for kind in kinds)


PORTS = {
    "omega.bus.port": {"Bus", "Lease", "Delivery"},
    "services.gateway.venue": {"Venue", "PriceSource", "Listener"},
    "omega.engine.decision": {"Interceptor"},
}
IMPLEMENTATIONS = (
    {"omega.bus.redis", "omega.bus.memory"},
    {"services.gateway.venues._ccxt", "services.gateway.memory_venue"},
)
"""Of each port, the modules that carry it out; none may know another."""


@pytest.mark.req("2.127", "4.25", "3.03")
@pytest.mark.parametrize(("module", "names"), PORTS.items())
def test_rules_ports_are_protocols(module: str, names: set[str]) -> None:
    found = importlib.import_module(module)

    assert {name for name in names if not getattr(getattr(found, name), "_is_protocol", False)} == set()


@pytest.mark.req("4.25")
@pytest.mark.parametrize("group", IMPLEMENTATIONS)
def test_rules_no_implementation_of_a_port_imports_another(group: set[str], code: dict[str, Nodes]) -> None:
    for name in group:
        tree = code[name.replace(".", "/") + ".py"]
        imported = {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
        assert not imported & (group - {name}), name


@pytest.mark.req("1.47")
def test_rules_the_feature_level_of_the_seeds_is_read_by_nothing_that_trades() -> None:
    """`consciousness_level` is set and exported by the runtime; no other line of the farm knows it."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        if "consciousness_level" in path.read_text(encoding="utf-8") and "testing" not in path.parts
    }

    assert readers == {"omega/runtime/service.py", "omega/runtime/vitals.py", "omega/telemetry/catalogue.py"}
