"""Position analyzer: reads the account's book and says how it stands. Never trades. Run by the runner, once a bar.

Harmony, changes, levels, liquidation risk and advice, each of them informational.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import talib

from omega.engine import AccountBook, Bars, OpenPosition, Signals
from omega.engine.account import ChangeKind, RiskLevel, changes, liquidation_distance, liquidation_risk
from omega.engine.fibonacci import PHI, levels, swings
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
        made[f"change_{i}"] = f"{change.kind} {_name(change.position)}{size}"
    for position in book.positions:
        made |= _position_facts(bars, book, position, p)
    for i, line in enumerate(advice(book, scored, p), start=1):
        made[f"advice_{i}"] = line
    return made


def advice(book: AccountBook, scored: Harmony | NoScore, p: Params) -> list[str]:
    """List what the figures suggest, the urgent first; never to raise the exposure."""
    return [line for line in _advice(book, scored, p) if line][: p.most]


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
    side, mark = position.side, position.mark
    prices = _swing_levels(bars, position, p)
    behind = [price for price in prices if side * (mark - price) > 0.0]
    ahead = [price for price in prices if side * (price - mark) > 0.0]
    width = _STOP_ATR * _true_range(bars, p)
    stop = min(behind, key=lambda price: abs(mark - price)) if behind else mark - side * width
    return max(stop, 0.0), min(ahead, key=lambda price: abs(price - mark), default=0.0)


def _swing_levels(bars: Bars, position: OpenPosition, p: Params) -> list[float]:
    """Return the levels of the newest confirmed swing that holds the entry price, none when no swing does."""
    if bars.n <= p.atr:
        return []
    atr = talib.ATR(bars.high, bars.low, bars.close, p.atr)
    found = swings(bars, p.span, p.swing_atr * atr, bars.n)
    holds = np.flatnonzero((found.direction != 0) & (found.low <= position.entry) & (position.entry <= found.high))
    if not holds.shape[0]:
        return []
    row = holds[-1]
    made = levels(float(found.high[row]), float(found.low[row]), up=bool(found.direction[row] > 0))
    return [price for _, price in made.prices]


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
    name = _name(position)
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


def _advice(book: AccountBook, scored: Harmony | NoScore, p: Params) -> Iterator[str]:
    for position in book.positions:
        if liquidation_risk(position) is RiskLevel.HIGH:
            yield f"{_name(position)}: liquidation is near; reduce or close"
        if p.loss_max and position.unrealised < -p.loss_max * position.notional:
            yield f"{_name(position)}: the loss is beyond {p.loss_max:.0%} of its value; reduce or close"
    if p.exposure_max and book.equity > 0.0 and _total(book) > p.exposure_max * book.equity:
        yield f"exposure is above {p.exposure_max:g} times the equity; reduce"
    for position in book.positions:
        if p.gain_max and position.unrealised > p.gain_max * position.notional:
            yield f"{_name(position)}: the gain is above {p.gain_max:.0%} of its value; take profit"
    yield _side_advice(book, p)
    if isinstance(scored, Harmony) and p.rebalance_below and scored.score < p.rebalance_below:
        yield f"harmony {scored.score:.3f} is low; rebalance"
    if isinstance(scored, Harmony) and p.keep_above and scored.score > p.keep_above:
        yield f"harmony {scored.score:.3f} is high; keep"


def _side_advice(book: AccountBook, p: Params) -> str:
    long, short = book.long_notional, book.short_notional
    if not (long and short):
        return "the book is one-sided; consider a hedge" if p.hedge and (long or short) else ""
    ratio = long / short
    if p.ratio_off and min(abs(ratio - PHI), abs(ratio - 1.0 / PHI)) > p.ratio_off:
        return f"long/short is {ratio:.2f}, far from golden; trim the {'long' if long > short else 'short'} side"
    return ""


def _total(book: AccountBook) -> float:
    return book.long_notional + book.short_notional


def _name(position: OpenPosition) -> str:
    return f"{position.symbol} {'long' if position.side > 0 else 'short'}"
