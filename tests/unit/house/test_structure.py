"""The rules of the house that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ADR = ROOT / "docs/adr/0001-one-process-a-service.md"
LINT = Path(sys.executable).with_name("lint-imports")
PUBLIC = ("omega.domain", "omega.engine", "omega.bus")


@pytest.mark.req("0.07")
def test_structure_every_service_has_its_reason_in_the_decision_record() -> None:
    """A folder below services/ without a row, or a row without a folder, is refused."""
    rows = dict(re.findall(r"^\| ([a-z_]+) \| (.+) \|$", ADR.read_text(encoding="utf-8"), re.MULTILINE))
    rows.pop("container", None)
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")}

    assert set(rows) == folders
    assert all(len(reason.split()) > 5 for reason in rows.values()), rows


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the code to spoil."""
    for name in ("omega", "services", "bots", "personas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of a copy."""
    return subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=project,
        env={"PYTHONPATH": str(project), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.req("0.04", "0.25", "0.07", "3.03", "4.01", "4.30", "2.21", "1.08")
@pytest.mark.parametrize(
    ("path", "planted", "contract"),
    [
        ("omega/engine/step.py", "import redis", "the pure core"),
        ("omega/engine/step.py", "import omega.bus", "the engine knows no edge"),
        ("services/runner/intents.py", "import ccxt", "only the gateway speaks to exchanges"),
        ("services/runner/intents.py", "import services.gateway.rows", "services share topics, not code"),
        ("personas/biel.py", "import asyncio", "the pure core"),
        ("omega/runtime/life.py", "import services.ledger", "the library knows no service"),
    ],
)
def test_structure_planted_import_breaks_its_contract(path: str, planted: str, contract: str, project: Path) -> None:
    file = project / path
    text = file.read_text(encoding="utf-8")
    future = "from __future__ import annotations\n"
    head, line, rest = text.partition(future) if future in text else (text, "", "")
    file.write_text(f"{head}{line}\n{planted}\n{rest}", encoding="utf-8")

    done = lint(project)

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout


def test_structure_unspoiled_copy_keeps_every_contract(project: Path) -> None:
    done = lint(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout


@pytest.mark.parametrize("name", PUBLIC)
def test_structure_public_names_are_exactly_the_promised_ones(name: str) -> None:
    """`__all__` is the promise: nothing in it is missing, nothing public is left out."""
    module = importlib.import_module(name)
    listed = list(module.__all__)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in _names(node)}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("omega.")
        for alias in node.names
    }

    assert len(set(listed)) == len(listed)
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    assert {entry for entry in own | bound | imported if not entry.startswith("_")} >= set(listed)
    assert {entry for entry in own if not entry.startswith("_")} <= set(listed)
    things = [getattr(module, entry) for entry in listed]
    assert [thing for thing in things if inspect.isclass(thing) or inspect.isfunction(thing) if not thing.__doc__] == []


def _names(node: ast.Assign) -> list[ast.Name]:
    return [target for target in node.targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize("name", PUBLIC)
def test_structure_nobody_outside_reaches_into_private_modules(name: str) -> None:
    """Underscored modules belong to their package."""
    inside = ROOT / name.replace(".", "/")
    pattern = re.compile(rf"^\s*(?:from {re.escape(name)}\._|import {re.escape(name)}\._)", re.MULTILINE)
    guilty = [
        path.relative_to(ROOT).as_posix()
        for folder in ("omega", "services", "bots", "personas")
        for path in (ROOT / folder).rglob("*.py")
        if inside not in path.parents and pattern.search(path.read_text(encoding="utf-8"))
    ]

    assert guilty == []


def test_structure_structlog_is_imported_in_one_place() -> None:
    """A plain import brings rich into the process that comes by it first; `omega/_structlog.py` says why not."""
    plain = re.compile(r"^\s*(?:import structlog\b|from structlog\b)", re.MULTILINE)
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("omega", "services", "bots", "personas")
        for path in (ROOT / folder).rglob("*.py")
        if plain.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"omega/_structlog.py"}
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "services").rglob("*.py")
        if "omega._structlog" in path.read_text(encoding="utf-8")
    ]
    assert guilty == [], "services take omega.telemetry.get_logger"
