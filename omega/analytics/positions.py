"""Position analysis: a book against the golden ratio, its positions against the levels of their swings, and advice.

Called by the analytics service and `omega analyze SYMBOL position`. Harmony, changes and advice are those of
`omega.engine`: the position analyzer bot says the same of the same book. All of it is information and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.analytics.pivots import average_range
from omega.engine.account import (
    AccountBook,
    Change,
    OpenPosition,
    RiskLevel,
    changes,
    liquidation_distance,
    liquidation_risk,
)
from omega.engine.advice import Advice, advise, position_name, suggested
from omega.engine.bars import Bars
from omega.engine.fibonacci import PHI, Swings, levels, swings
from omega.engine.harmony import Harmony, NoScore, harmony

GOLDEN_SIZED: Final = (0.5, 0.7)
_SPAN: Final = 10
_SWING_RANGES: Final = 4.0
_STOP_RANGES: Final = 2.0
_GOLDEN_LEVELS: Final = (0.382, 0.5, 0.618, 0.786, 1.272, 1.618, 2.618)


@dataclass(frozen=True, slots=True)
class AdviceRules:
    """When a piece of advice is given; 0 (or false) switches one off. Units: see `omega.engine.advice.Rules`."""

    rebalance_below: float = 0.4
    keep_above: float = 0.7
    ratio_off: float = 0.5
    hedge: bool = True
    exposure_max: float = 2.0
    loss_max: float = 0.10
    gain_max: float = 0.20
    most: int = 5


DEFAULT: Final = AdviceRules()


@dataclass(frozen=True, slots=True)
class Aligned:
    """How near a price lies to a level of the swing that holds the entry.

    Units: price in quote currency; ratio and level of the nearest level; distance in average true ranges; score 1 at
        the level and 0 from one average true range on.
    """

    what: str
    price: float
    ratio: float
    level: float
    distance: float
    score: float


@dataclass(frozen=True, slots=True)
class PositionView:
    """One position.

    Units: prices in quote currency; pnl in quote currency, pnl_share of the notional; liquidation_distance a fraction
        of the liquidation price, None without one; suggested_stop always on the losing side of the mark,
        suggested_target 0.0 when no level lies ahead; reward_to_risk of the two from the mark, None without a target.

    Attributes:
        aligned: entry, stop and target against the levels, empty without bars or a swing that holds the entry.
        alignment: their mean score in [0, 1], None when there is none.
        golden_sized: notional over equity between .5 and .7, None when equity is not above zero.
    """

    name: str
    notional: float
    entry: float
    mark: float
    pnl: float
    pnl_share: float
    liquidation_distance: float | None
    liquidation_level: RiskLevel
    golden_sized: bool | None
    aligned: tuple[Aligned, ...]
    alignment: float | None
    suggested_stop: float | None
    suggested_target: float
    reward_to_risk: float | None


@dataclass(frozen=True, slots=True)
class GoldenBalance:
    """What would bring the two sides of a book to the golden ratio by trimming alone; never by adding.

    Units: ratio heavier over lighter notional, None when the book is one-sided; trim in quote currency of the heavier
        side, 0.0 when the ratio is at or below the golden one.
    """

    ratio: float | None
    heavier: str
    trim: float


@dataclass(frozen=True, slots=True)
class Positions:
    """A book, read.

    Units: long, short, total, pnl and equity in quote currency; long_short and exposure None where they are not
        defined; drawdown of the equity below its peak a fraction.
    """

    long: float
    short: float
    total: float
    pnl: float
    equity: float
    long_short: float | None
    exposure: float | None
    drawdown: float
    return_on_margin: float | None
    harmony: Harmony | NoScore
    balance: GoldenBalance
    changes: tuple[Change, ...]
    views: tuple[PositionView, ...]
    advice: tuple[Advice, ...]
    kind: str = "informational"


def analyse_positions(
    book: AccountBook,
    markets: Mapping[str, Bars],
    *,
    stops: Mapping[tuple[str, str, int], float] | None = None,
    targets: Mapping[tuple[str, str, int], float] | None = None,
    rules: AdviceRules = DEFAULT,
    size_change: float = 0.05,
    pnl_change: float = 0.10,
) -> Positions:
    """Read a book.

    Args:
        book: the account, with the poll before for the changes.
        markets: closed bars by symbol; positions without bars have no levels.
        stops: stop prices by position key (account, symbol, side), where known.
        targets: target prices by position key, where known.
        rules: when advice is given.
        size_change: change of size that is worth reporting, a fraction.
        pnl_change: change of profit that is worth reporting, a fraction.
    """
    long, short, equity = book.long_notional, book.short_notional, book.equity
    margin = sum(p.notional / max(p.leverage, 1.0) for p in book.positions)
    pnl = sum(p.unrealised for p in book.positions)
    scored = harmony(book)
    return Positions(
        long=long,
        short=short,
        total=long + short,
        pnl=pnl,
        equity=equity,
        long_short=long / short if short > 0.0 else None,
        exposure=(long + short) / equity if equity > 0.0 else None,
        drawdown=book.drawdown,
        return_on_margin=pnl / margin if margin > 0.0 else None,
        harmony=scored,
        balance=golden_balance(book),
        changes=changes(book, size=size_change, pnl=pnl_change),
        views=tuple(
            _view(p, book, markets.get(p.symbol), (stops or {}).get(p.key), (targets or {}).get(p.key))
            for p in book.positions
        ),
        advice=advise(book, scored, rules),
    )


def golden_balance(book: AccountBook) -> GoldenBalance:
    """Return how the sides stand to the golden ratio, and what trimming the heavier one to it would take."""
    long, short = book.long_notional, book.short_notional
    heavier = "long" if long >= short else "short"
    high, low = max(long, short), min(long, short)
    if low <= 0.0:
        return GoldenBalance(None, heavier if high > 0.0 else "", 0.0)
    return GoldenBalance(high / low, heavier, max(high - PHI * low, 0.0))


def align(
    bars: Bars, position: OpenPosition, *, stop: float | None = None, target: float | None = None
) -> tuple[Aligned, ...]:
    """Hold entry, stop and target against the levels of the newest confirmed swing that holds the entry.

    The swing must have been confirmed by the last bar; levels change only when the swing does.
    """
    if not bars.n:
        return ()
    found, width = _swings(bars), _width(bars)
    holds = np.flatnonzero((found.direction != 0) & (found.low <= position.entry) & (position.entry <= found.high))
    if not len(holds) or width <= 0.0:
        return ()
    row = holds[-1]
    made = levels(
        float(found.high[row]),
        float(found.low[row]),
        up=bool(found.direction[row] > 0),
        ratios=(0.0, *_GOLDEN_LEVELS, 1.0),
    )
    asked = (("entry", position.entry), ("stop", stop), ("target", target))
    aligned = []
    for what, price in asked:
        if price is None or price <= 0.0:
            continue
        ratio, level = made.nearest(price)
        away = abs(price - level) / width
        aligned.append(Aligned(what, price, ratio, level, away, max(0.0, 1.0 - away)))
    return tuple(aligned)


def _view(
    p: OpenPosition, book: AccountBook, bars: Bars | None, stop: float | None, target: float | None
) -> PositionView:
    low, high = GOLDEN_SIZED
    made: tuple[float | None, float] = (None, 0.0)
    aligned: tuple[Aligned, ...] = ()
    if bars is not None and bars.n:
        made = suggested(bars, p, _swings(bars), _STOP_RANGES * _width(bars))
        aligned = align(bars, p, stop=stop, target=target)
    near, far = made
    risk = p.side * (p.mark - near) if near is not None else 0.0
    return PositionView(
        name=position_name(p),
        notional=p.notional,
        entry=p.entry,
        mark=p.mark,
        pnl=p.unrealised,
        pnl_share=p.unrealised / p.notional if p.notional > 0.0 else 0.0,
        liquidation_distance=liquidation_distance(p),
        liquidation_level=liquidation_risk(p),
        golden_sized=low < p.notional / book.equity < high if book.equity > 0.0 else None,
        aligned=aligned,
        alignment=float(np.mean([a.score for a in aligned])) if aligned else None,
        suggested_stop=near,
        suggested_target=far,
        reward_to_risk=p.side * (far - p.mark) / risk if far > 0.0 and risk > 0.0 else None,
    )


def _swings(bars: Bars) -> Swings:
    return swings(bars, _SPAN, _SWING_RANGES * average_range(bars), bars.n)


def _width(bars: Bars) -> float:
    """Return the newest average true range, or the mean range of so short a record."""
    newest = float(average_range(bars)[-1])
    return newest if np.isfinite(newest) else float((bars.high - bars.low).mean())
