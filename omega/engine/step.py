"""One bar, one decision: the uncompiled path. The runner calls `decide` at every close; nothing here waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from omega.domain import Decision
from omega.engine.barriers import time_exit, trailing_stop
from omega.engine.bars import Bars
from omega.engine.decision import Context, Settings, rules_for, run_stages
from omega.engine.portfolio import Book
from omega.engine.signals import SHARES, Row
from omega.errors import CorruptData, InvariantBroken
from omega.plugins import StrategyEntry

NOT_READY: Final = "not_ready"
WAIT: Final = "wait"
HOLD: Final = "hold"
REVERSED: Final = "reversed"
TIME_EXIT: Final = "time_exit"
TRAILED: Final = "trailed"


def decide(strategy: StrategyEntry, params: object, window: Bars, book: Book, settings: Settings) -> Decision:
    """Decide on the newest bar of a window.

    An exit comes from the strategy's exit flag, an entry signal of the other side, the time limit or the trailing stop.
    An entry needs a flat book; with `flip` an entry of the other side leaves and enters at once.

    Raises:
        CorruptData: the window is empty.
        InvariantBroken: the strategy returned rows that do not match the bars, or a reason that it never declared.
    """
    if window.n == 0:
        raise CorruptData(f"{strategy.name}: there is no bar to decide on; feed the window first")
    context = Context(window.ts[-1].item(), window.close[-1].item(), book)
    if window.n <= strategy.warmup(params):
        return _quiet(context, NOT_READY)
    signals = strategy.signals(window, params)
    if signals.n != window.n:
        raise InvariantBroken(f"{strategy.name} returned {signals.n} rows for {window.n} bars; align its arrays")
    rules = rules_for(settings, params)
    row = signals.at(window.n - 1)
    draft = _draft(strategy, row, context, rules)
    return run_stages(draft, context, rules)


def _draft(strategy: StrategyEntry, row: Row, context: Context, rules: Settings) -> Decision:
    left = _exit_reason(strategy, row, context, rules)
    flat = context.book.side == 0
    if row.side and (flat or (rules.flip and row.side == -context.book.side)):
        return _entry(strategy, row, context, rules, leaves=not flat)
    if left:
        return replace(_quiet(context, left), exit=True, confidence=row.confidence)
    return _quiet(context, WAIT if flat else HOLD)


def _exit_reason(strategy: StrategyEntry, row: Row, context: Context, rules: Settings) -> str:
    """Return why the held position must go, empty when it stays."""
    book = context.book
    if book.side == 0:
        return ""
    if row.side == -book.side:
        return REVERSED
    if row.exit:
        return _word(strategy, row.reason)
    if time_exit(book.bars_held, rules.time_limit):
        return TIME_EXIT
    trail = trailing_stop(book.side, 0.0, rules.trail * book.entry, book.extreme)
    if trail > 0.0 and book.side * (context.price - trail) <= 0.0:
        return TRAILED
    return ""


def _entry(strategy: StrategyEntry, row: Row, context: Context, rules: Settings, *, leaves: bool) -> Decision:
    price, side = context.price, row.side
    stop = price - side * row.stop_distance if row.stop_distance > 0.0 else 0.0
    aims = [price + side * distance for distance in row.targets if distance > 0.0]
    reached = [aim for aim in aims if aim > 0.0]
    return Decision(
        bar_ts_ns=context.bar_ts_ns,
        price=price,
        side=side,
        exit=leaves,
        size=1.0,
        stop=max(stop, 0.0),
        targets=tuple(zip(reached, SHARES[len(reached)], strict=True)),
        leverage=rules.max_leverage,
        confidence=row.confidence,
        reason=_word(strategy, row.reason),
    )


def _quiet(context: Context, reason: str) -> Decision:
    return Decision(
        bar_ts_ns=context.bar_ts_ns,
        price=context.price,
        side=0,
        exit=False,
        size=0.0,
        stop=0.0,
        targets=(),
        leverage=1,
        confidence=0.0,
        reason=reason,
    )


def _word(strategy: StrategyEntry, index: int) -> str:
    if not 0 <= index < len(strategy.reasons):
        raise InvariantBroken(f"{strategy.name} gave reason {index} of {len(strategy.reasons)}; declare it")
    return strategy.reasons[index]
