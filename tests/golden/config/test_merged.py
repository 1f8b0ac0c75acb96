"""The merged settings of every environment, and the shape of the tree, as golden files.

A wanted change is written with `OMEGA_GOLDEN=write pytest tests/golden/config`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from omega.config import as_json, load
from omega.config.schema import leaves

HERE = Path(__file__).parent
LIVE = {"trading.live_accounts": "main", "trading.confirmed_limits": "true"}


def check(name: str, text: str) -> None:
    path = HERE / name
    if os.environ.get("OMEGA_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), (
        f"{name} differs: look at the change, then OMEGA_GOLDEN=write pytest tests/golden/config"
    )


@pytest.mark.req("0.38", "4.11")
@pytest.mark.parametrize("env", ["dev", "paper", "live"])
def test_merged_settings_equal_the_golden(env: str) -> None:
    shown: dict[str, Any] = as_json(load(env=env, environ={}, overrides=LIVE if env == "live" else {}))["settings"]
    rows = {
        path: [row["value"], row["origin"].partition(" line ")[0]]
        for path, row in shown.items()
        if row["origin"] != "default"
    }

    check(f"{env}.json", json.dumps(rows, indent=1, default=str) + "\n")


@pytest.mark.req("4.14")
def test_settings_tree_keeps_its_shape() -> None:
    check("shape.txt", "\n".join(leaves()) + "\n")
