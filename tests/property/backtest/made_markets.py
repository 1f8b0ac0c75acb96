"""Random but sound markets and scripts for the properties of the loop over history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from omega.backtest.types import FundingSeries, Market, Result, Steps
from omega.engine import Bars, Signals
from omega.params import param, params
from omega.plugins import StrategyEntry

MINUTE_NS = 60_000_000_000
START_NS = 1_735_689_600_000_000_000  # 2025-01-01
STEPS = Steps(price_step=0.1, size_step=0.0001, min_size=0.0001, min_notional=5.0)


@params
class Script:
    """A strategy that decides by a seeded generator over the rows: each row's word depends on that row alone."""

    seed: int = param(0, low=0, high=10**9)
    often: float = param(0.2, low=0.0, high=1.0)
    stop: float = param(0.01, low=0.0, high=0.5)
    target: float = param(0.015, low=0.0, high=0.5)
    targets: int = param(1, low=0, high=3)
    leaves: float = param(0.1, low=0.0, high=1.0)
    flip: bool = param(default=False)
    time_limit: int = param(0, low=0, high=1000)
    trail: float = param(0.0, low=0.0, high=0.5)
    sizing: str = param("risk", choices=("risk", "full"))


def scripted(bars: Bars, p: Script) -> Signals:
    """Draw the words row by row, so that a prefix of the bars gets a prefix of the words."""
    draw = np.random.default_rng(p.seed).random((bars.n, 4))
    side = np.where(draw[:, 0] < p.often, np.where(draw[:, 1] < 0.5, 1, -1), 0)
    return Signals.of(
        side=side,
        exit=draw[:, 2] < p.leaves,
        stop_distance=p.stop * (0.5 + draw[:, 3]) * bars.close,
        targets=tuple((j + 1) * p.target * bars.close for j in range(p.targets)),
        confidence=draw[:, 1],
        reason=(side < 0).astype(np.int16),
    )


SCRIPTED = StrategyEntry("scripted", scripted, Script, lambda _: 2, ("up", "down"), False, False, None, "")


def bars_of(seed: int, n: int, *, wild: float = 0.004, digits: int = 1, start_ns: int = START_NS) -> Bars:
    """Walk at random, with gaps between bars, prices on a grid of `digits` decimals."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, wild, (n, 4))
    close = 20_000.0 * np.exp(np.cumsum(steps[:, 0]))
    open_ = np.concatenate(([20_000.0], close[:-1])) * np.exp(0.3 * steps[:, 1])
    high = np.maximum(open_, close) * np.exp(np.abs(steps[:, 2]))
    low = np.minimum(open_, close) * np.exp(-np.abs(steps[:, 3]))
    rounded = [np.round(column, digits) for column in (open_, high, low, close)]
    high = np.maximum.reduce(rounded)
    low = np.minimum.reduce(rounded)
    return Bars.of(start_ns + np.arange(n) * MINUTE_NS, rounded[0], high, low, rounded[3], np.ones(n))


def market_of(seed: int, n: int, *, steps: Steps | None = None, funded: bool = False, **more: Any) -> Market:
    """Make a market of random bars; funding every seven bars at a random rate when asked for."""
    bars = bars_of(seed, n, **more)
    funding = None
    if funded:
        instants = bars.ts[6::7] + MINUTE_NS
        funding = FundingSeries(instants, np.random.default_rng(seed).normal(0.0, 0.001, len(instants)))
    return Market(f"R{seed}USDT", bars, MINUTE_NS, funding, steps)


def columns(result: Result) -> Mapping[str, bytes]:
    """Return the bits of everything that a result holds in columns, and of its totals."""
    trades = {f"trades.{name}": getattr(result.trades, name).tobytes() for name in result.trades.__slots__}
    totals = np.array([result.final_equity, result.fees, result.funding, result.turnover, *result.seven.values()])
    return {"equity": result.equity.tobytes(), "held": result.held.tobytes(), "totals": totals.tobytes(), **trades}
