"""What a venue tells beside the prices: read when it is a number, and never at the price of the prices."""

from typing import Any

import pytest

from services.gateway.venues import _bitget_wire as bitget
from services.gateway.venues import _unified as unified

PRICES = {"bidPr": "100.0", "askPr": "100.1", "lastPr": "100.05", "ts": "1750000000000"}


@pytest.mark.parametrize("unsound", [None, "", "n/a", "NaN", "inf", [], "1e999"])
def test_tick_with_unsound_extras_keeps_its_prices(unsound: Any):
    own = bitget.tick({**PRICES, "bidSz": unsound, "fundingRate": unsound, "change24h": unsound}, "BTC-USDT.P", 0)
    row = {"bid": 100.0, "ask": 100.1, "last": 100.05, "bidVolume": unsound, "percentage": unsound}
    other = unified.tick(row, "BTC-USDT.P", venue_ns=1)

    assert (own.bid, own.ask, own.bid_size, own.funding, own.change_24h) == (100.0, 100.1, None, None, None)
    assert other is not None
    assert (other.bid, other.ask, other.bid_size, other.change_24h) == (100.0, 100.1, None, None)


def test_tick_extras_are_fractions_and_base_units():
    own = bitget.tick({**PRICES, "bidSz": "3.5", "fundingRate": "0.0001", "change24h": "-0.02"}, "BTC-USDT.P", 0)
    row = {"bid": 100.0, "ask": 100.1, "last": 100.05, "bidVolume": 3.5, "percentage": -2.0}
    other = unified.tick(row, "BTC-USDT.P", venue_ns=1)

    assert other is not None
    assert (own.bid_size, own.funding, own.change_24h) == (3.5, 0.0001, -0.02)
    assert (other.bid_size, other.change_24h) == (3.5, -0.02)
