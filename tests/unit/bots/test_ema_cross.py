"""The teaching example does what its one line says."""

import numpy as np
import pytest
import talib

from bots.ema_cross import Params, signals
from omega.engine import Bars, Book, Settings, decide
from omega.errors import ConfigError
from omega.plugins import parse_params, strategies


def test_ema_cross_enters_on_the_upward_cross_alone(market: Bars):
    fast, slow = talib.EMA(market.close, 12), talib.EMA(market.close, 26)
    made = signals(market, Params())

    above = [bool(f > s) for f, s in zip(fast, slow, strict=True)]
    crossed = [i for i in range(1, market.n) if above[i] and not above[i - 1]]

    assert np.flatnonzero(made.side).tolist() == crossed
    assert np.array_equal(made.exit[25:], ~(fast > slow)[25:])


def test_ema_cross_stop_and_target_are_parts_of_the_price(market: Bars):
    made = signals(market, Params(stop_pct=0.02, target_pct=0.04))

    assert np.allclose(made.stop_distance, 0.02 * market.close)
    assert np.allclose(made.targets[0], 0.04 * market.close)
    assert signals(market, Params()).targets == ()


def test_ema_cross_without_a_stop_trades_only_where_none_is_required(market: Bars):
    strategies.discover()
    entry, bare = strategies.get("ema_cross"), Params(stop_pct=0.0, sizing="full")
    row = next(i for i in np.flatnonzero(signals(market, bare).side) if i > 600)
    seen = market.prefix(int(row) + 1)

    assert not decide(entry, bare, seen, Book.flat(1000.0), Settings()).acts
    assert decide(entry, bare, seen, Book.flat(1000.0), Settings(require_stop=False)).side == 1


@pytest.mark.req("3.14")
def test_ema_cross_parameter_out_of_range_is_refused_with_the_range():
    with pytest.raises(ConfigError, match="2 to 100 bars"):
        parse_params(Params, {"fast": "1"})
