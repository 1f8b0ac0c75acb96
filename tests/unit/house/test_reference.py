"""The generated pages say what the code says: layers, settings and their JSON Schema."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

from omega.config import Settings, load
from omega.testing.loading import module_at

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return module_at(ROOT / "scripts/reference.py")


@pytest.mark.req("1.45")
def test_reference_layers_are_drawn_in_the_order_that_the_contract_enforces(reference: ModuleType) -> None:
    page = reference.layers_page()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    drawn = re.findall(r'\["([a-z_.]+)"\]', page)

    assert drawn == [name.strip() for layer in layers for name in layer.split("|")]
    assert re.findall(r"layer(\d+) --> layer(\d+)", page) == [(str(n), str(n + 1)) for n in range(len(layers) - 1)]
    assert all(f"**{contract['name']}**" in page for contract in contracts)
    assert reference.PAGES["layers.md"] is reference.layers_page


@pytest.mark.req("2.104")
def test_reference_schema_has_a_section_for_every_service_and_fits_the_shipped_settings(reference: ModuleType) -> None:
    schema = json.loads(reference.PAGES["settings.schema.json"]())
    services = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    shipped = load(environ={}).settings.model_dump(mode="json")

    assert services <= set(Settings.model_fields)
    assert services <= set(schema["properties"])
    assert len({Settings.model_fields[name].annotation for name in services}) == len(services)
    jsonschema.validate({name: shipped[name] for name in ("cosmic", "runner", "simulator", "ledger")}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"ledger": {"batch": "many"}}, schema)
