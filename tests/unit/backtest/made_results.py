"""Small results made by hand or by a plain loop, for the tests of figures, pages and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omega.backtest.types import ExitKind, Market, Result, Trades
from omega.engine.bars import F64, I64, Bars

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
START_NS = 1_735_689_600_000_000_000  # 2025-01-01
FEE = 0.0006


def trades_of(rows: Sequence[Mapping[str, Any]], ts: I64) -> Trades:
    """Make trades from dicts; what a row leaves out is a long winner of one unit at 100."""
    plain = {
        "symbol": 0,
        "side": 1,
        "position": 0,
        "leg": 0,
        "entry_row": 0,
        "exit_row": 1,
        "size": 1.0,
        "entry_price": 100.0,
        "exit_price": 101.0,
        "fee": 0.0,
        "funding": 0.0,
        "pnl": 1.0,
        "mae": 0.0,
        "mfe": 0.0,
        "exit_kind": int(ExitKind.SIGNAL),
    }
    whole = [{**plain, "position": number, **row} for number, row in enumerate(rows)]
    kinds = {"symbol": np.int16, "side": np.int8, "leg": np.int8, "exit_kind": np.int8}
    integers = {"position", "entry_row", "exit_row"}
    columns = {
        name: np.array([row[name] for row in whole], kinds.get(name, np.int64 if name in integers else np.float64))
        for name in plain
    }
    return Trades(**columns, entry_ts=ts[columns["entry_row"]], exit_ts=ts[columns["exit_row"]])


def result_of(
    equity: Sequence[float] | F64,
    *,
    trades: Sequence[Mapping[str, Any]] = (),
    timeframe_ns: int = HOUR_NS,
    capital: float = 100.0,
    held: Sequence[float] | F64 | None = None,
    ts: I64 | None = None,
    **more: Any,
) -> Result:
    """Make a result around an equity curve."""
    curve = np.asarray(equity, np.float64)
    when = START_NS + np.arange(len(curve)) * timeframe_ns if ts is None else ts
    fields: dict[str, Any] = {
        "strategy": "made",
        "params": {"fast": 3},
        "symbols": ("BTC-USDT.P",),
        "timeframe_ns": timeframe_ns,
        "ts": when,
        "equity": curve,
        "held": np.zeros(len(curve)) if held is None else np.asarray(held, np.float64),
        "trades": trades_of(trades, when),
        "capital": capital,
        "final_equity": float(curve[-1]) if len(curve) else capital,
        "fees": 0.0,
        "funding": 0.0,
        "turnover": 0.0,
        "bars": len(curve),
        "elapsed_s": 0.001,
        "data_hash": "ab" * 32,
        "settings": {"capital": capital, "costs": {"taker": FEE, "slippage": 0.0}},
    }
    return Result(**(fields | more))


def bars_of(close: F64, timeframe_ns: int = MINUTE_NS) -> Bars:
    """Make bars around closes: each opens at the close before and reaches a little beyond both."""
    opens = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(opens, close) * 1.0002, np.minimum(opens, close) * 0.9998
    ts = START_NS + np.arange(len(close)) * timeframe_ns
    return Bars.of(ts, opens, high, low, close, np.ones(len(close)))


def market_of(close: F64, symbol: str = "BTC-USDT.P", timeframe_ns: int = MINUTE_NS) -> Market:
    """Make a market around closes."""
    return Market(symbol, bars_of(close, timeframe_ns), timeframe_ns, data_hash="ab" * 32)


def walk(n: int, seed: int = 1, *, drift: float = 0.0, start: float = 50_000.0) -> F64:
    """Return a random walk of prices."""
    steps = np.random.default_rng(seed).normal(drift, 5e-4, n)
    return start * np.exp(np.cumsum(steps))


def traded(n: int, *, hold: int = 40, pause: int = 20, seed: int = 1, symbols: int = 1) -> tuple[Result, list[Market]]:
    """Run the plainest of strategies: long for `hold` bars, flat for `pause`, all of the equity, fees paid.

    A reference loop of its own, so that figures and pages are tested without the kernel.
    """
    markets = [market_of(walk(n, seed + number), f"M{number}-USDT.P") for number in range(symbols)]
    share = 10_000.0 / symbols
    equity, held, rows = np.zeros(n), np.zeros(n), []
    fees = turnover = 0.0
    for number, market in enumerate(markets):
        bars, cash, size, entry = market.bars, share, 0.0, 0
        for k in range(n):
            phase = k % (hold + pause)
            if size and (phase == hold or k == n - 1):
                price = float(bars.open[k]) if phase == hold else float(bars.close[k])
                fee = FEE * size * (bars.open[entry] + price)
                bought = float(bars.open[entry])
                rows.append(
                    {
                        "symbol": number,
                        "position": len(rows),
                        "entry_row": entry,
                        "exit_row": k,
                        "size": size,
                        "entry_price": bought,
                        "exit_price": price,
                        "fee": fee,
                        "pnl": size * (price - bought) - fee,
                        "mae": float(bars.low[entry : k + 1].min()) / bought - 1.0,
                        "mfe": float(bars.high[entry : k + 1].max()) / bought - 1.0,
                        "exit_kind": int(ExitKind.SIGNAL if phase == hold else ExitKind.END),
                    }
                )
                cash += size * price * (1.0 - FEE)
                fees, turnover, size = fees + fee, turnover + size * (bought + price), 0.0
            if not size and phase == 0 and k < n - 1:
                size, entry = cash / (float(bars.open[k]) * (1.0 + FEE)), k
                cash = 0.0
            equity[k] += cash + size * float(bars.close[k])
            held[k] += size * float(bars.close[k])
    rows.sort(key=lambda row: row["exit_row"])
    result = result_of(
        equity,
        trades=rows,
        timeframe_ns=MINUTE_NS,
        capital=10_000.0,
        held=held / equity,
        symbols=tuple(market.symbol for market in markets),
        fees=fees,
        turnover=turnover,
    )
    return result, markets
