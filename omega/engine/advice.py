"""Advice on a book: what its figures suggest, the urgent first, each piece tagged as information and nothing more.

Called by the position analyzer and by position analysis. Nothing here ever advises to raise the exposure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from omega.engine.account import AccountBook, OpenPosition, RiskLevel, liquidation_risk
from omega.engine.bars import Bars
from omega.engine.fibonacci import PHI, Swings, levels
from omega.engine.harmony import Harmony, NoScore


class Rules(Protocol):
    """When a piece of advice is given; 0 (or false) switches one off."""

    @property
    def rebalance_below(self) -> float:
        """Harmony below which to rebalance."""
        ...

    @property
    def keep_above(self) -> float:
        """Harmony above which to keep the book."""
        ...

    @property
    def ratio_off(self) -> float:
        """Distance of long over short from the golden ratio and its inverse."""
        ...

    @property
    def hedge(self) -> bool:
        """Whether to mention a hedge when the book is one-sided."""
        ...

    @property
    def exposure_max(self) -> float:
        """Exposure over equity above which to reduce."""
        ...

    @property
    def loss_max(self) -> float:
        """Loss over notional beyond which to reduce or close."""
        ...

    @property
    def gain_max(self) -> float:
        """Gain over notional above which to take profit."""
        ...

    @property
    def most(self) -> int:
        """Most pieces of advice at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of information.

    Attributes:
        code: what it is about, for machines: liquidation_near, loss_large, exposure_high, gain_large, one_sided,
            ratio_off, harmony_low, harmony_high.
        subject: the position it is about, empty for the whole book.
        text: the words.
        kind: always "informational": no order follows from it.
    """

    code: str
    subject: str
    text: str
    kind: str = "informational"


def advise(book: AccountBook, scored: Harmony | NoScore, rules: Rules) -> tuple[Advice, ...]:
    """List what the figures suggest, the urgent first, no more than the rules allow at a time."""
    return tuple(_advice(book, scored, rules))[: rules.most]


def suggested(bars: Bars, position: OpenPosition, found: Swings, width: float) -> tuple[float, float]:
    """Return (stop, target) that the levels of the swing around the entry suggest; target 0.0 when none lies ahead.

    The stop lies on the losing side of the mark for winners and losers alike: the nearest level behind it, or `width`
    away when no swing holds the entry or no level is left behind.

    Args:
        bars: closed bars of the position's market.
        position: whose stop and target.
        found: the swings in force at every bar.
        width: distance of the stop where no level gives one, in quote currency.

    Units: prices in quote currency.
    """
    side, mark = position.side, position.mark
    prices = swing_levels(bars, position.entry, found)
    behind = [price for price in prices if side * (mark - price) > 0.0]
    ahead = [price for price in prices if side * (price - mark) > 0.0]
    stop = min(behind, key=lambda price: abs(mark - price)) if behind else mark - side * width
    return max(stop, 0.0), min(ahead, key=lambda price: abs(price - mark), default=0.0)


def swing_levels(bars: Bars, entry: float, found: Swings) -> list[float]:
    """Return the levels of the newest confirmed swing that holds the entry price, none when no swing does."""
    if not bars.n:
        return []
    holds = ((found.direction != 0) & (found.low <= entry) & (entry <= found.high)).nonzero()[0]
    if not holds.shape[0]:
        return []
    row = holds[-1]
    made = levels(float(found.high[row]), float(found.low[row]), up=bool(found.direction[row] > 0))
    return [price for _, price in made.prices]


def position_name(position: OpenPosition) -> str:
    """Return what people call a position: its symbol and side."""
    return f"{position.symbol} {'long' if position.side > 0 else 'short'}"


def _advice(book: AccountBook, scored: Harmony | NoScore, rules: Rules) -> Iterator[Advice]:
    for position in book.positions:
        name = position_name(position)
        if liquidation_risk(position) is RiskLevel.HIGH:
            yield Advice("liquidation_near", name, f"{name}: liquidation is near; reduce or close")
        if rules.loss_max and position.unrealised < -rules.loss_max * position.notional:
            text = f"{name}: the loss is beyond {rules.loss_max:.0%} of its value; reduce or close"
            yield Advice("loss_large", name, text)
    total = book.long_notional + book.short_notional
    if rules.exposure_max and book.equity > 0.0 and total > rules.exposure_max * book.equity:
        text = f"exposure is above {rules.exposure_max:g} times the equity; reduce"
        yield Advice("exposure_high", "", text)
    for position in book.positions:
        if rules.gain_max and position.unrealised > rules.gain_max * position.notional:
            name = position_name(position)
            text = f"{name}: the gain is above {rules.gain_max:.0%} of its value; take profit"
            yield Advice("gain_large", name, text)
    yield from _of_sides(book, rules)
    if isinstance(scored, Harmony) and rules.rebalance_below and scored.score < rules.rebalance_below:
        yield Advice("harmony_low", "", f"harmony {scored.score:.3f} is low; rebalance")
    if isinstance(scored, Harmony) and rules.keep_above and scored.score > rules.keep_above:
        yield Advice("harmony_high", "", f"harmony {scored.score:.3f} is high; keep")


def _of_sides(book: AccountBook, rules: Rules) -> Iterator[Advice]:
    long, short = book.long_notional, book.short_notional
    if not (long and short):
        if rules.hedge and (long or short):
            yield Advice("one_sided", "", "the book is one-sided; consider a hedge")
        return
    ratio = long / short
    if rules.ratio_off and min(abs(ratio - PHI), abs(ratio - 1.0 / PHI)) > rules.ratio_off:
        heavier = "long" if long > short else "short"
        text = f"long/short is {ratio:.2f}, far from golden; trim the {heavier} side"
        yield Advice("ratio_off", "", text)
