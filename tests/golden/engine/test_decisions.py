"""What every trading strategy decides on a fixed set of bars, and what the trend rules say of six kinds of market.

A wanted change is written with `OMEGA_GOLDEN=write pytest tests/golden/engine/test_decisions.py`.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from omega.domain import MINUTE_NS, MS_NS
from omega.engine import LONG, SHORT, Bars, Book, Settings, decide
from omega.plugins import strategies

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
RECORDED = ROOT / "data/candles/BTCUSDT-1m.parquet"
START = 1_700_000_000_000_000_000 // MINUTE_NS * MINUTE_NS
TRADING = [name for name in strategies.discover() if not strategies.get(name).read_only]
ROWS = 3_000
MOST = 12
"""Decisions of each strategy and market that are kept."""
BOUNDS = Settings(max_leverage=3, risk=0.01)


def walk(returns: np.ndarray, *, wick: float, seed: int) -> Bars:
    """Make one-minute bars that close after these returns."""
    rng = np.random.default_rng(seed)
    close = 60_000.0 * np.exp(np.cumsum(returns))
    open_ = np.concatenate((close[:1], close[:-1]))
    away = close * np.abs(rng.normal(0.0, wick, (2, len(close))))
    high, low = np.maximum(open_, close) + away[0], np.minimum(open_, close) - away[1]
    ts = START + np.arange(len(close)) * MINUTE_NS
    return Bars.of(ts, open_, high, low, close, rng.uniform(1.0, 9.0, len(close)))


def regime(name: str, n: int = 2_400) -> Bars:
    """Make a market of one kind: bull, bear, sideways, volatile, crash or gap, always the same."""
    kinds = ("bull", "bear", "sideways", "volatile", "crash", "gap")
    seed = kinds.index(name)
    noise = np.random.default_rng(seed).normal(0.0, 3e-3, n)
    if name in {"bull", "bear"}:
        return walk(noise + (2e-3 if name == "bull" else -2e-3), wick=2e-3, seed=seed)
    if name == "sideways":  # pulled back to where it began
        level, moves = 0.0, []
        for shock in noise:
            moves.append(shock - 0.2 * level)
            level += moves[-1]
        return walk(np.array(moves), wick=2e-3, seed=seed)
    if name == "volatile":
        return walk(noise * 6, wick=1e-2, seed=seed)
    noise[n // 2 : n // 2 + (40 if name == "crash" else 1)] -= 2e-2 if name == "crash" else 0.15
    return walk(noise, wick=2e-3, seed=seed)


@cache
def recorded() -> Bars:
    """The first rows of the candles that the project carries."""
    table = pq.read_table(RECORDED, columns=["ts", "open", "high", "low", "close", "volume"]).slice(0, ROWS)
    columns = [table[name].to_numpy() for name in table.column_names]
    return Bars.of(columns[0] * MS_NS, *columns[1:])


def decisions(name: str, bars: Bars) -> list[dict[str, Any]]:
    """Return the first decisions that act, each on a flat book; the last one on a position that is held."""
    entry = strategies.get(name)
    p = entry.params()
    made = entry.signals(bars, p)
    need, found = entry.warmup(p), list[dict[str, Any]]()
    for row in np.flatnonzero(made.side):
        if row <= need or len(found) == MOST:
            continue
        one = decide(entry, p, bars.prefix(int(row) + 1), Book.flat(10_000.0), BOUNDS)
        found.append(
            {
                "row": int(row),
                "action": {LONG: "long", SHORT: "short"}.get(one.side, "exit" if one.exit else "hold"),
                "size": round(one.size, 9),
                "stop": round(one.stop, 6),
                "targets": [[round(price, 6), share] for price, share in one.targets],
                "leverage": one.leverage,
                "reason": one.reason,
            }
        )
    return found


def golden(name: str, made: object) -> None:
    path = HERE / name
    text = json.dumps(made, indent=1) + "\n"
    if os.environ.get("OMEGA_GOLDEN") == "write":
        path.write_text(text)
    assert json.loads(text) == json.loads(path.read_text()), f"{name} differs: look at the change, then write it anew"


@pytest.mark.req("0.46")
def test_decisions_on_recorded_and_made_bars_are_the_known_ones() -> None:
    markets = {"recorded": recorded(), **{name: regime(name) for name in ("bull", "bear", "crash")}}
    made = {name: {market: decisions(name, bars) for market, bars in markets.items()} for name in TRADING}

    assert all(sum(map(len, by_market.values())) for by_market in made.values()), "a strategy that never enters"
    golden("decisions.json", made)


@pytest.mark.req("0.45")
def test_trend_rule_in_every_kind_of_market_says_what_is_known() -> None:
    entry = strategies.get("ccxt_trend")
    analyzer = strategies.get("trading_analyzer")
    assert analyzer.report is not None
    said = {}
    for name in ("bull", "bear", "sideways", "volatile", "crash", "gap"):
        bars = regime(name)
        side = entry.signals(bars, entry.params()).side
        seen = bars.prefix(bars.n // 2 + 20)  # in the middle of what the kind is named after
        report = analyzer.report(seen, Book.flat(10_000.0), analyzer.params())
        words = {key: value for key, value in report.items() if isinstance(value, str)}
        said[name] = {"long": int((side == LONG).sum()), "short": int((side == SHORT).sum()), **words}

    assert said["bull"]["long"] > 4 * said["bull"]["short"]
    assert said["bear"]["short"] > 4 * said["bear"]["long"]
    assert (said["bull"]["trend"], said["bear"]["trend"]) == ("up", "down")
    golden("trend.json", said)
