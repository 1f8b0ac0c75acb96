"""Performance: every figure of the farm's reports over the ledger's trades and equity, rolling windows, targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from omega.analytics.analyses._books import markets
from omega.analytics.analysis import Analysis, Finding, Panel, PanelKind, Series, Tone, number
from omega.analytics.context import Context, Record
from omega.errors import Denied
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.performance import Curve, Performance, Trip

_BOOK: Final = "book"
_UNITS: Final = {"roi": "fraction", "sharpe": "a year", "trades": "trades"}
_POINTS: Final = 600


@params
class Params:
    """Whose record."""

    bot: str = param("", doc="one bot's name; empty = all of them together")


@analysis("performance", title="Performance", params=Params, needs=("trades",), uses=("bars",), least=0)
def performance(context: Context, p: Params) -> Analysis:
    """Work out what a bot, or all bots together, came to."""
    from omega.analytics.performance import book_performance
    from omega.analytics.performance import performance as of_one

    records = _chosen(context, p.bot)
    curves = {one.bot: _curve(one) for one in records}
    trips = {one.bot: _trips(one) for one in records}
    capital = {one.bot: one.capital for one in records}
    bars = markets(context)
    each = [
        of_one(name, curve, trips[name], capital=capital[name], timeframe_ns=_apart_ns(curve), bars=bars)
        for name, curve in curves.items()
    ]
    whole = each[0]
    if len(each) > 1:
        apart = _apart_ns(*curves.values())
        whole = book_performance(curves, trips, capital=capital, timeframe_ns=apart, bars=bars)
    return Analysis(
        analysis="performance",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=sum(len(curve.ts) for curve in curves.values()),
        summary=_summary(whole),
        findings=(*(_finding(context, one) for one in each), *_targets(context, whole)),
        numbers=(
            *(number(name, value, _UNITS.get(name, "")) for name, value in whole.figures.items()),
            *(
                number(f"{name}, last {days} days", value, "")
                for days, figures in whole.windows.items()
                for name, value in figures.items()
                if name in {"roi", "sharpe", "max_drawdown"}
            ),
        ),
        caveats=_caveats(whole, records),
        panels=_panels(records),
    )


def _chosen(context: Context, bot: str) -> tuple[Record, ...]:
    known = tuple(one for one in context.records or () if len(dict(one.equity)) > 1)
    found = tuple(one for one in known if bot in {"", one.bot})
    if not found:
        names = ", ".join(one.bot for one in known) or "none yet: let the farm trade some bars"
        raise Denied(f"there is no record of {bot or 'any bot'}; there are records of {names}", rule="records")
    return found


def _curve(record: Record) -> Curve:
    import numpy as np

    from omega.analytics.performance import Curve

    kept = dict(record.equity)
    ts = sorted(kept)
    return Curve(np.array(ts, dtype=np.int64), np.array([kept[at] - record.capital for at in ts], dtype=np.float64))


def _apart_ns(*curves: Curve) -> int:
    """Return how far apart the points of curves lie: what a year's figures are scaled by, whatever bars were asked for.

    The ledger thins a long curve, and every bot has bars of its own.
    """
    import numpy as np

    return int(np.median(np.diff(np.unique(np.concatenate([curve.ts for curve in curves])))))


def _trips(record: Record) -> tuple[Trip, ...]:
    from omega.analytics.performance import Trip

    return tuple(Trip.of_row(row) for row in record.trades)


def _summary(made: Performance) -> str:
    figures = made.figures
    sharpe = figures.get("sharpe", math.nan)
    told = f"Sharpe ratio {sharpe:.2f}" if math.isfinite(sharpe) else "too short for a Sharpe ratio"
    met = sum(one.met for one in made.targets)
    return (
        f"{made.name}: {figures.get('roi', 0.0):+.2%} over {int(figures.get('trades', 0))} trades, {told}, "
        f"now {made.drawdown:.2%} below its peak; {met} of {len(made.targets)} targets met."
    )


def _finding(context: Context, made: Performance) -> Finding:
    names = ("roi", "max_drawdown", "sharpe", "win_rate", "profit_factor", "trades")
    return Finding(
        name=made.name,
        at_ns=context.now_ns,
        text=_summary(made),
        numbers=tuple(number(name, made.figures.get(name), _UNITS.get(name, "")) for name in names),
    )


def _targets(context: Context, made: Performance) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name=f"target {one.name}",
            at_ns=context.now_ns,
            text=f"{one.value:.3g} against {one.wanted}: {'met' if one.met else 'not met'}",
        )
        for one in made.targets
    )


def _caveats(made: Performance, records: tuple[Record, ...]) -> tuple[str, ...]:
    trades = int(made.figures.get("trades", 0))
    first = min(one.equity[0][0] for one in records)
    last = max(one.equity[-1][0] for one in records)
    days = (last - first) / 86_400e9
    apart_s = max(_apart_ns(_curve(one)) for one in records) / 1e9
    words = [
        f"{trades} trades in {days:.1f} days: figures a year are scaled up from that.",
        f"Equity is read every {apart_s:,.0f} s: a drawdown that came and went in between is not seen.",
    ]
    if trades < 30:  # noqa: PLR2004 - below that a win rate is mostly luck
        words.append("Fewer than 30 trades say little about what comes.")
    return tuple(words)


def _panels(records: tuple[Record, ...]) -> tuple[Panel, ...]:
    """Return equity and drawdown of all bots together, thinned to what a picture shows."""
    import numpy as np

    capital = sum(one.capital for one in records)
    ts = np.unique(np.concatenate([[at for at, _ in one.equity] for one in records]).astype(np.int64))
    total = np.zeros(len(ts))
    for one in records:
        curve = _curve(one)
        at = np.searchsorted(curve.ts, ts, side="right") - 1
        total += np.where(at >= 0, curve.profit[np.maximum(at, 0)], 0.0)
    equity = capital + total
    peak = np.maximum.accumulate(np.maximum(equity, capital))
    down = 100.0 * (equity - peak) / peak
    rows = np.unique(np.linspace(0, len(ts) - 1, min(len(ts), _POINTS)).astype(np.int64))
    x = tuple(float(at) for at in ts[rows])
    return (
        Panel(
            PanelKind.CURVE,
            "Equity (quote currency)",
            (Series("equity", x, tuple(equity[rows].tolist())),),
            rules=((capital, "capital"),),
        ),
        Panel(PanelKind.CURVE, "Below the peak (%)", (Series("drawdown", x, tuple(down[rows].tolist()), Tone.DOWN),)),
    )
