"""One bar, one decision: the uncompiled path. The runner calls `decide` at every close; nothing here waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from omega.domain import Decision, Reading
from omega.engine.barriers import trailing_stop
from omega.engine.bars import Bars
from omega.engine.decision import Context, Settings, rules_for, run_stages
from omega.engine.draft import SIGNALLED, TIMED, TRAILED, TURNED, enters, exit_cause, stop_level, target_level
from omega.engine.portfolio import Book
from omega.engine.signals import SHARES, Row
from omega.errors import CorruptData, InvariantBroken
from omega.plugins import StrategyEntry

NOT_READY: Final = "not_ready"
WAIT: Final = "wait"
HOLD: Final = "hold"

_CAUSES: Final = {TURNED: "reversed", TIMED: "time_exit", TRAILED: "trailed"}


def decide(
    strategy: StrategyEntry,
    params: object,
    window: Bars,
    book: Book,
    settings: Settings,
    readings: tuple[Reading, ...] = (),
) -> Decision:
    """Decide on the newest bar of a window; `readings` are the cosmic ones that the interceptors may look at.

    An exit comes from the strategy's exit flag, an entry signal of the other side, the time limit or the trailing stop.
    An entry needs a flat book; with `flip` an entry of the other side leaves and enters at once. A decision that holds
    names the trailing stop where its rules have one, for the stop at the venue to follow.

    Raises:
        CorruptData: the window is empty.
        InvariantBroken: the strategy returned rows that do not match the bars, or a reason that it never declared.
    """
    if window.n == 0:
        raise CorruptData(f"{strategy.name}: there is no bar to decide on; feed the window first")
    context = Context(window.ts[-1].item(), window.close[-1].item(), book, readings)
    need = strategy.warmup(params)
    if window.n <= need:
        return _quiet(context, NOT_READY)
    # By its declaration nothing older is felt; twice of it leaves even what rounding keeps of older bars behind.
    seen = window.since(max(window.n - 2 * need - 1, 0))
    signals = strategy.signals(seen, params)
    if signals.n != seen.n:
        raise InvariantBroken(f"{strategy.name} returned {signals.n} rows for {seen.n} bars; align its arrays")
    rules = rules_for(settings, params)
    row = signals.at(seen.n - 1)
    draft = _draft(strategy, row, context, rules)
    return run_stages(draft, context, rules)


def _draft(strategy: StrategyEntry, row: Row, context: Context, rules: Settings) -> Decision:
    book = context.book
    cause = exit_cause(
        book.side,
        row.side,
        row.exit,
        book.bars_held,
        rules.time_limit,
        rules.trail,
        book.entry,
        book.extreme,
        context.price,
    )
    if enters(book.side, row.side, rules.flip):
        return _entry(strategy, row, context, rules, leaves=book.side != 0)
    if cause:
        word = _word(strategy, row.reason) if cause == SIGNALLED else _CAUSES[cause]
        return replace(_quiet(context, word), exit=True, confidence=row.confidence)
    if book.side == 0:
        return _quiet(context, WAIT)
    level = trailing_stop(book.side, 0.0, rules.trail * book.entry, book.extreme)
    return replace(_quiet(context, HOLD), stop=level)


def _entry(strategy: StrategyEntry, row: Row, context: Context, rules: Settings, *, leaves: bool) -> Decision:
    price, side = context.price, row.side
    aims = [target_level(side, price, distance) for distance in row.targets]
    reached = [aim for aim in aims if aim > 0.0]
    return Decision(
        bar_ts_ns=context.bar_ts_ns,
        price=price,
        side=side,
        exit=leaves,
        size=1.0,
        stop=stop_level(side, price, row.stop_distance),
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
