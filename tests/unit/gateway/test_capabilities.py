"""What each venue declares: complete, consistent with its file, and obeyed when an account is opened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omega.cli.venues import matrix
from omega.config import Settings
from omega.errors import ConfigError, InvariantBroken
from omega.plugins import venues
from services.gateway.capabilities import LABELS
from services.gateway.classify import RefusalKind, table
from services.gateway.service import open_venue

venues.discover()
FIVE = ("binance", "bitget", "bybit", "kraken", "okx")


@pytest.mark.req("0.05", "3.15")
def test_matrix_names_the_five_venues_and_is_json() -> None:
    found = matrix()

    assert set(FIVE) <= set(found)
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found))
    assert {found[name]["evidence"] for name in FIVE} == {
        "the local exchange, end to end",
        "recorded and constructed wire shapes",
    }


@pytest.mark.parametrize("name", FIVE)
def test_venue_declares_every_row_and_knows_what_must_be_known(name: str) -> None:
    adapter: Any = venues.get(name).adapter
    cells = adapter.capabilities.cells()
    kinds = set(adapter.refusals.codes.values())

    assert set(cells) == set(LABELS.values())
    assert all(cells.values())
    assert kinds >= {RefusalKind.RATE, RefusalKind.AUTH, RefusalKind.CLOCK, RefusalKind.DUPLICATE, RefusalKind.FUNDS}
    assert RefusalKind.UNKNOWN not in kinds


@pytest.mark.parametrize(("name", "wants"), [("binance", False), ("kraken", False), ("okx", True), ("bitget", True)])
def test_account_needs_a_passphrase_only_where_keys_have_one(name: str, *, wants: bool) -> None:
    keys = {"api_key": "k", "api_secret": "s"}
    settings = Settings.model_validate({"trading": {"venue": name}, "gateway": keys})

    if wants:
        with pytest.raises(ConfigError, match=r"gateway\.passphrase missing"):
            open_venue(settings)
    else:
        assert open_venue(settings).name == name


def test_code_under_two_kinds_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="7"):
        table({RefusalKind.RATE: "7 8", RefusalKind.AUTH: "7"})
