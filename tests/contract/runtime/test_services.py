"""Every folder below services/ holds one BaseService and a composition root that is nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from omega.runtime import BaseService, OMEGAService

SERVICES = Path(__file__).parents[3] / "services"
EXCEPTIONS = {("services/simulator/__main__.py", "os.environ")}
"""The simulator asks whether a Redis is named at all: it also runs alone for strangers."""
NAMES = sorted(path.parent.name for path in SERVICES.glob("*/__main__.py"))


@pytest.mark.req("2.79", "2.126", "1.74", "2.64", "3.02")
@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")  # discord.py imports it on 3.11
@pytest.mark.parametrize("name", NAMES)
def test_services_each_folder_holds_a_base_service_of_its_name(name: str) -> None:
    module = importlib.import_module(f"services.{name}.service")

    found = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, OMEGAService) and kind.__module__ == module.__name__
    ]

    assert [kind.name for kind in found] == [name]
    assert found[0] is not BaseService


@pytest.mark.req("3.03", "4.05", "4.07")
@pytest.mark.parametrize("name", NAMES)
def test_services_composition_root_calls_run_and_defines_no_class(name: str) -> None:
    tree = ast.parse((SERVICES / name / "__main__.py").read_text())

    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert "run" in calls
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


@pytest.mark.req("2.74", "4.10", "2.75", "4.07")
def test_services_no_second_logging_set_up_and_no_second_loader() -> None:
    root = SERVICES.parent
    for path in [*SERVICES.rglob("*.py"), *(root / "bots").rglob("*.py"), *(root / "personas").rglob("*.py")]:
        text = path.read_text()
        for forbidden in ("logging.basicConfig", "structlog.configure", "os.environ", "os.getenv", "yaml.safe_load"):
            if (path.relative_to(SERVICES.parent).as_posix(), forbidden) in EXCEPTIONS:
                continue
            assert forbidden not in text, f"{path} uses {forbidden}: take omega.config and omega.telemetry"
