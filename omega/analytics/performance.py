"""Performance of bots and of the whole book, live or historical: the back-test's own figures over the ledger's facts.

Called by the analytics service and the reports. There is one definition a figure, in `omega.backtest.metrics`; here the
ledger's trades and equity become what those read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from omega.backtest.metrics import DAY_NS, drawdown, metrics
from omega.backtest.types import Result, Trades
from omega.engine.bars import F64, I64, Bars
from omega.errors import ConfigError

WINDOWS: Final = (7, 30, 90)

TARGETS: Final[Mapping[str, tuple[str, float]]] = {
    "win_rate": (">", 0.55),
    "profit_factor": (">", 1.5),
    "payoff": (">", 1.5),
    "max_drawdown": ("<", 0.15),
    "cagr": (">", 0.40),
    "sharpe": (">", 1.5),
    "calmar": (">", 2.0),
}
"""What reports compare against. Source: the performance targets of the domain reference."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One round trip of the ledger.

    Units: times in ns UTC; size in base units; prices and money in quote currency; fees positive when paid, funding
        positive when received, so net = gross - fees + funding.
    """

    symbol: str
    side: str
    opened_ns: int
    closed_ns: int
    size: float
    entry: float
    exit: float
    gross: float
    fees: float
    funding: float

    @property
    def net(self) -> float:
        """What it came to, in quote currency."""
        return self.gross - self.fees + self.funding

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Trip:
        """Make one of a row of `omega.storage.queries.trade_rows`."""
        return cls(
            symbol=str(row["symbol"]),
            side=str(row["side"]),
            opened_ns=int(row["opened_ns"]),
            closed_ns=int(row["closed_ns"] or 0),
            size=float(row["entered"]),
            entry=float(row["entry"]),
            exit=float(row["exit"]),
            gross=float(row["gross"]),
            fees=float(row["fees"]),
            funding=float(row["funding"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What a bot was worth.

    Shapes: both (n,). Units: ts the closes of bars in ns UTC, rising; profit in quote currency, realised and
        unrealised, before the starting capital.
    """

    ts: I64
    profit: F64

    @classmethod
    def of_points(cls, points: Sequence[Any]) -> Curve:
        """Make one of `omega.storage.queries.equity_points`; of several points at one close the last one stays."""
        kept = {int(p.close_ns): float(p.net + p.unrealised) for p in points}
        return cls(
            np.array(sorted(kept), dtype=np.int64), np.array([kept[ts] for ts in sorted(kept)], dtype=np.float64)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """One figure against what reports want of it. Units: those of the figure; value NaN when it is not defined."""

    name: str
    value: float
    wanted: str
    met: bool


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of one bot, or of all of them together.

    Attributes:
        name: the bot, or "book".
        figures: every figure by its name, NaN where it is not defined.
        windows: the same over the last so many days, those that the record reaches over.
        targets: against the farm's targets.
        drawdown: how far the last point lies below its peak, a fraction.
    """

    name: str
    figures: Mapping[str, float]
    windows: Mapping[int, Mapping[str, float]]
    targets: tuple[Target, ...]
    drawdown: float


def performance(
    name: str,
    curve: Curve,
    trips: Sequence[Trip],
    *,
    capital: float,
    timeframe_ns: int,
    bars: Mapping[str, Bars] | None = None,
    windows: Sequence[int] = WINDOWS,
) -> Performance:
    """Work out every figure of a record.

    Args:
        name: whose.
        curve: profit at the closes of bars.
        trips: round trips; open ones (closed_ns 0) do not count.
        capital: what it began with, in quote currency.
        timeframe_ns: length of the bars.
        bars: by symbol, for how far trades went against and for their holders; those figures are NaN without them.
        windows: days to look back over, besides the whole record.

    Raises:
        ConfigError: the capital is not above zero, or the curve is empty or not in the order of time.
    """
    _check(curve, capital)
    whole = as_result(name, curve, trips, capital=capital, timeframe_ns=timeframe_ns, bars=bars)
    figures = metrics(whole)
    span = int(curve.ts[-1] - curve.ts[0])
    recent = {
        days: metrics(_since(whole, int(curve.ts[-1]) - days * DAY_NS)) for days in windows if days * DAY_NS <= span
    }
    return Performance(
        name=name,
        figures=figures,
        windows=recent,
        targets=against_targets(figures),
        drawdown=float(drawdown(whole.equity, capital)[-1]),
    )


def book_performance(
    curves: Mapping[str, Curve],
    trips: Mapping[str, Sequence[Trip]],
    *,
    capital: Mapping[str, float],
    timeframe_ns: int,
    bars: Mapping[str, Bars] | None = None,
) -> Performance:
    """Work out the figures of all bots together: profits add up, a bot counts nothing before its first point.

    Raises:
        ConfigError: there is no bot, or one of them has no capital.
    """
    if not curves or set(curves) - set(capital):
        raise ConfigError(f"capital is missing for {sorted(set(curves) - set(capital)) or 'every bot'}: name it")
    ts = np.unique(np.concatenate([curve.ts for curve in curves.values()]))
    profit = np.zeros(len(ts))
    for curve in curves.values():
        row = np.searchsorted(curve.ts, ts, side="right") - 1
        profit += np.where(row >= 0, curve.profit[np.maximum(row, 0)], 0.0)
    every = [trip for of_bot in trips.values() for trip in of_bot]
    total = sum(capital[name] for name in curves)
    return performance("book", Curve(ts, profit), every, capital=total, timeframe_ns=timeframe_ns, bars=bars)


def rolling(curve: Curve, *, capital: float, timeframe_ns: int, days: int) -> tuple[I64, dict[str, F64]]:
    """Return (close of each day from the first full window on, figures of the window that ends there).

    Figures: roi, volatility, sharpe and max_drawdown of the last `days` days.

    Raises:
        ConfigError: see `performance`.
    """
    _check(curve, capital)
    whole = as_result("", curve, (), capital=capital, timeframe_ns=timeframe_ns)
    first = (int(curve.ts[0]) // DAY_NS + days) * DAY_NS
    ends = np.arange(first, int(curve.ts[-1]) + 1, DAY_NS, dtype=np.int64)
    names = ("roi", "volatility", "sharpe", "max_drawdown")
    rows = [metrics(_between(whole, int(end) - days * DAY_NS, int(end))) for end in ends]
    return ends, {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}


def against_targets(figures: Mapping[str, float]) -> tuple[Target, ...]:
    """Compare figures with the farm's targets; a figure that is not defined meets none."""
    made = []
    for name, (way, bound) in TARGETS.items():
        value = figures.get(name, math.nan)
        met = value > bound if way == ">" else value < bound
        made.append(Target(name, value, f"{way} {bound:g}", bool(met)))
    return tuple(made)


def as_result(
    name: str,
    curve: Curve,
    trips: Sequence[Trip],
    *,
    capital: float,
    timeframe_ns: int,
    bars: Mapping[str, Bars] | None = None,
) -> Result:
    """Return a record as the back-test would have returned it; how much was held between trades is not recorded."""
    closed = sorted((t for t in trips if t.closed_ns), key=lambda t: t.closed_ns)
    equity = capital + curve.profit
    opened = curve.ts - timeframe_ns  # a result's time is that of the open, a ledger's point that of the close
    return Result(
        strategy=name,
        params={},
        symbols=tuple(dict.fromkeys(t.symbol for t in closed)),
        timeframe_ns=timeframe_ns,
        ts=opened,
        equity=equity,
        held=_held(opened, equity, trips, timeframe_ns),
        trades=_trades(closed, opened, bars or {}),
        capital=capital,
        final_equity=float(equity[-1]),
        fees=sum(t.fees for t in trips),
        funding=sum(t.funding for t in trips),
        turnover=sum(t.size * (t.entry + (t.exit if t.closed_ns else 0.0)) for t in trips),
        bars=len(equity),
        elapsed_s=0.0,
        data_hash="",
    )


def _trades(closed: Sequence[Trip], ts: I64, bars: Mapping[str, Bars]) -> Trades:
    symbols = list(dict.fromkeys(t.symbol for t in closed))
    side = np.array([1 if t.side == "long" else -1 for t in closed], dtype=np.int8)
    m = len(closed)
    excursions = [_excursion(t, bars.get(t.symbol)) for t in closed]

    def column(name: str) -> F64:
        return np.array([getattr(t, name) for t in closed], dtype=np.float64)

    def row(name: str) -> I64:
        at = np.array([getattr(t, name) for t in closed], dtype=np.int64)
        return np.clip(np.searchsorted(ts, at, side="right") - 1, 0, max(len(ts) - 1, 0)).astype(np.int64)

    return Trades(
        symbol=np.array([symbols.index(t.symbol) for t in closed], dtype=np.int16),
        side=side,
        position=np.arange(m, dtype=np.int64),
        leg=np.zeros(m, dtype=np.int8),
        entry_row=row("opened_ns"),
        exit_row=row("closed_ns"),
        entry_ts=np.array([t.opened_ns for t in closed], dtype=np.int64),
        exit_ts=np.array([t.closed_ns for t in closed], dtype=np.int64),
        size=column("size"),
        entry_price=column("entry"),
        exit_price=column("exit"),
        fee=column("fees"),
        funding=column("funding"),
        pnl=column("net"),
        mae=np.array([e[0] for e in excursions], dtype=np.float64),
        mfe=np.array([e[1] for e in excursions], dtype=np.float64),
        exit_kind=np.zeros(m, dtype=np.int8),
    )


def _excursion(trip: Trip, bars: Bars | None) -> tuple[float, float]:
    """Return (furthest against, furthest for) from the entry, as fractions of it, over the bars it was open in."""
    if bars is None or not bars.n:
        return math.nan, math.nan
    first = max(int(np.searchsorted(bars.ts, trip.opened_ns, side="right")) - 1, 0)
    last = int(np.searchsorted(bars.ts, trip.closed_ns, side="right"))
    if last <= first:
        return math.nan, math.nan
    up = float(bars.high[first:last].max()) / trip.entry - 1.0
    down = float(bars.low[first:last].min()) / trip.entry - 1.0
    against, for_ = (down, up) if trip.side == "long" else (-up, -down)
    return min(against, 0.0), max(for_, 0.0)


def _held(ts: I64, equity: F64, trips: Sequence[Trip], timeframe_ns: int) -> F64:
    """Return the signed entry notional of the trips open at each close over the equity."""
    held, closes = np.zeros(len(ts)), ts + timeframe_ns
    for t in trips:
        open_ = (closes >= t.opened_ns) & ((closes < t.closed_ns) | (t.closed_ns == 0))
        held[open_] += (1.0 if t.side == "long" else -1.0) * t.size * t.entry
    return np.divide(held, equity, out=np.zeros(len(ts)), where=equity > 0.0)


def _since(whole: Result, from_ns: int) -> Result:
    return _between(whole, from_ns, int(whole.ts[-1]) + whole.timeframe_ns)


def _between(whole: Result, from_ns: int, to_ns: int) -> Result:
    """Cut a result to the closes in (from_ns, to_ns]; it begins with the equity before them."""
    closes = whole.ts + whole.timeframe_ns
    first, last = (int(np.searchsorted(closes, at, side="right")) for at in (from_ns, to_ns))
    begun = float(whole.equity[first - 1]) if first else whole.capital
    inside = (whole.trades.exit_ts > from_ns) & (whole.trades.exit_ts <= to_ns)
    trades = {name: getattr(whole.trades, name)[inside] for name in Trades.__slots__}
    for name in ("entry_row", "exit_row"):
        trades[name] = np.clip(trades[name] - first, 0, max(last - first - 1, 0))
    equity = whole.equity[first:last]
    return replace(
        whole,
        ts=whole.ts[first:last],
        equity=equity,
        held=whole.held[first:last],
        trades=Trades(**trades),
        capital=begun,
        final_equity=float(equity[-1]) if len(equity) else begun,
        fees=float(trades["fee"].sum()),
        funding=float(trades["funding"].sum()),
        turnover=float((trades["size"] * (trades["entry_price"] + trades["exit_price"])).sum()),
        bars=len(equity),
    )


def _check(curve: Curve, capital: float) -> None:
    if not capital > 0.0:
        raise ConfigError(f"a capital of {capital} has no returns; give what the bot began with")
    if not len(curve.ts) or (np.diff(curve.ts) <= 0).any() or not np.isfinite(curve.profit).all():
        raise ConfigError("the equity curve is empty, out of order, or not finite: nothing can be worked out")
