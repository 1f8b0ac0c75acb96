"""Position analyzer: reads the account's book and says how it stands. Never trades. Run by the runner, once a bar.

Harmony, changes, levels, liquidation risk and advice, each of them informational.
"""

from __future__ import annotations

import numpy as np
import talib

from omega.engine import AccountBook, Bars, OpenPosition, Signals
from omega.engine.account import ChangeKind, changes, liquidation_distance, liquidation_risk
from omega.engine.advice import advise, position_name
from omega.engine.advice import suggested as by_levels
from omega.engine.fibonacci import swings
from omega.engine.harmony import Harmony, NoScore, harmony
from omega.plugins import param, params, strategy

_GOLDEN_SIZED = (0.5, 0.7)
_STOP_ATR = 2.0


@params
class Params:
    """When a change is worth a word, and when a piece of advice is given (0 switches one off)."""

    symbol: str = param("", doc="symbol of the bars, for levels; empty when the book holds one symbol alone")
    size_change: float = param(0.05, low=0.0, high=1.0, unit="fraction", doc="change of size worth reporting")
    pnl_change: float = param(0.10, low=0.0, high=10.0, unit="fraction", doc="change of profit worth reporting")
    rebalance_below: float = param(0.4, low=0.0, high=1.0, doc="harmony below which to rebalance")
    keep_above: float = param(0.7, low=0.0, high=1.0, doc="harmony above which to keep the book")
    ratio_off: float = param(
        0.5, low=0.0, high=10.0, doc="distance of long/short from the golden ratio and its inverse"
    )
    hedge: bool = param(default=True, doc="mention a hedge when the book is one-sided")
    exposure_max: float = param(2.0, low=0.0, high=100.0, unit="equity", doc="exposure above which to reduce")
    loss_max: float = param(0.10, low=0.0, high=1.0, unit="notional", doc="loss beyond which to reduce or close")
    gain_max: float = param(0.20, low=0.0, high=10.0, unit="notional", doc="gain above which to take profit")
    most: int = param(5, low=0, high=20, doc="most pieces of advice at a time")
    span: int = param(10, low=2, high=50, unit="bars", reload="restart", doc="bars on either side of a pivot")
    swing_atr: float = param(4.0, low=0.5, high=20.0, unit="ATR", doc="smallest leg of a swing")
    atr: int = param(14, low=2, high=25, unit="bars", reload="restart", doc="length of the average true range")


def report(bars: Bars, book: AccountBook, p: Params) -> dict[str, float | str]:
    """Describe your book: statistics, harmony, changes, each position with its risk and levels, advice.

    Units: money in quote currency, ratios plain; a figure that is undefined is left out and said why in words.
    """
    scored = harmony(book)
    made: dict[str, float | str] = {"kind": "informational", "about": "your book", **_statistics(book)}
    made |= _harmony_facts(scored)
    for i, change in enumerate(changes(book, size=p.size_change, pnl=p.pnl_change), start=1):
        size = f" size {change.size_change:+.1%}" if change.kind is ChangeKind.CHANGED else ""
        made[f"change_{i}"] = f"{change.kind} {position_name(change.position)}{size}"
    for position in book.positions:
        made |= _position_facts(bars, book, position, p)
    for i, line in enumerate(advice(book, scored, p), start=1):
        made[f"advice_{i}"] = line
    return made


def advice(book: AccountBook, scored: Harmony | NoScore, p: Params) -> list[str]:
    """List what the figures suggest, the urgent first; never to raise the exposure."""
    return [piece.text for piece in advise(book, scored, p)]


@strategy(
    "position_analyzer",
    params=Params,
    warmup=lambda p: 2 * p.span + 40 * p.atr,
    reasons=("read_only",),
    read_only=True,
    book=True,
    report=report,
)
def signals(bars: Bars, p: Params) -> Signals:  # noqa: ARG001 - every strategy takes its parameters
    """Ask for nothing: this bot reads only."""
    return Signals.none(bars.n)


def suggested(bars: Bars, position: OpenPosition, p: Params) -> tuple[float, float]:
    """Return (stop, target) that the levels of the swing around the entry suggest; target 0.0 when none lies ahead.

    The stop lies on the losing side of the mark for winners and losers alike: the nearest level behind it, or two
    average true ranges when no swing holds the entry or no level is left behind.

    Units: prices in quote currency.
    """
    if bars.n > p.atr:
        threshold = p.swing_atr * talib.ATR(bars.high, bars.low, bars.close, p.atr)
    else:
        threshold = np.full(bars.n, np.nan)
    return by_levels(bars, position, swings(bars, p.span, threshold, bars.n), _STOP_ATR * _true_range(bars, p))


def _true_range(bars: Bars, p: Params) -> float:
    if bars.n <= p.atr:
        return float(np.mean(bars.high - bars.low))
    return float(np.mean(talib.TRANGE(bars.high, bars.low, bars.close)[-p.atr :]))


def _statistics(book: AccountBook) -> dict[str, float | str]:
    long, short, equity = book.long_notional, book.short_notional, book.equity
    margin = sum(p.notional / max(p.leverage, 1.0) for p in book.positions)
    pnl = sum(p.unrealised for p in book.positions)
    made: dict[str, float | str] = {
        "positions": float(len(book.positions)),
        "long": long,
        "short": short,
        "total": long + short,
        "pnl": pnl,
        "equity": equity,
        "drawdown": book.drawdown,
        "long_short": long / short if short > 0.0 else "one-sided" if long > 0.0 else "no positions",
    }
    made["exposure"] = (long + short) / equity if equity > 0.0 else "undefined: equity is not above zero"
    if margin > 0.0:
        made["return_on_margin"] = pnl / margin
    return made


def _harmony_facts(scored: Harmony | NoScore) -> dict[str, float | str]:
    if isinstance(scored, NoScore):
        return {"harmony": f"none: {scored.why}"}
    return {
        "harmony": scored.score,
        "harmony_label": scored.label,
        "harmony_side": scored.side,
        "harmony_exposure": scored.exposure,
        "harmony_steps": scored.steps,
        "harmony_series": scored.series,
    }


def _position_facts(bars: Bars, book: AccountBook, position: OpenPosition, p: Params) -> dict[str, float | str]:
    name = position_name(position)
    made: dict[str, float | str] = {f"{name} risk": str(liquidation_risk(position))}
    distance = liquidation_distance(position)
    if distance is not None:
        made[f"{name} liquidation_distance"] = distance
    if book.equity > 0.0:
        low, high = _GOLDEN_SIZED
        made[f"{name} golden_sized"] = "yes" if low < position.notional / book.equity < high else "no"
    symbols = {other.symbol for other in book.positions}
    if bars.n and position.symbol == (p.symbol or (position.symbol if len(symbols) == 1 else "")):
        stop, target = suggested(bars, position, p)
        made[f"{name} stop_level"] = stop
        if target > 0.0:
            made[f"{name} target_level"] = target
    return made
