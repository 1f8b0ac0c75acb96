"""Turn a decision into intents: deterministic ids, sizes cut to the venue's steps, one leg a target.

Pure; called by the runner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.domain import (
    AccountName,
    Action,
    BotName,
    Decision,
    Instrument,
    Intent,
    Side,
    Symbol,
    VenueName,
    intent_id,
)
from omega.engine.draft import tightens

ZERO: Final = Decimal(0)
TIGHTENED: Final = 9
"""Sequence number of the intent that moves a stop, beyond those of orders."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a bot sits: its name, its account and what it trades."""

    bot: BotName
    venue: VenueName
    account: AccountName
    symbol: Symbol


def intents_of(
    decision: Decision, seat: Seat, instrument: Instrument, held: Decimal, *, guard: Decimal = ZERO
) -> tuple[Intent, ...]:
    """Return what a decision asks the gateway to do, the exit before the entry, else a nearer stop.

    An entry with several targets becomes one leg a target, each with the whole stop of its own part, so that the venue
    guards every part from the moment it is filled. A leg below the venue's minimum joins the first one.

    Args:
        decision: of the newest bar.
        seat: the bot.
        instrument: steps and minimums.
        held: the bot's signed position in base units.
        guard: the stop of that position, as the bot has last asked for it; 0 for none.
    """
    price = instrument.price(decision.price)
    formed: list[Intent] = []
    if decision.exit and held:
        side = Side.SELL if held > 0 else Side.BUY
        formed.append(_intent(decision, seat, Action.EXIT, side, abs(held), price, sequence=0))
    if decision.side:
        side = Side.BUY if decision.side > 0 else Side.SELL
        stop = instrument.price(decision.stop) if decision.stop > 0 else None
        for size, target in _legs(decision, instrument, price):
            aim = instrument.price(target) if target > 0 else None
            formed.append(
                _intent(
                    decision, seat, Action.ENTER, side, size, price, sequence=len(formed) + 1, stop=stop, target=aim
                )
            )
    elif held and not decision.exit:
        formed.extend(_tightened(decision, seat, instrument, held, price, guard))
    return tuple(formed)


def _tightened(
    decision: Decision, seat: Seat, instrument: Instrument, held: Decimal, price: Decimal, guard: Decimal
) -> Iterator[Intent]:
    """Ask for a nearer stop where the decision names one; the shared rule judges the price as the venue shows it."""
    if decision.stop <= 0.0:
        return
    level, side = instrument.price(decision.stop), Side.SELL if held > 0 else Side.BUY
    if tightens(1 if held > 0 else -1, float(guard), float(level), decision.price):
        yield _intent(decision, seat, Action.TIGHTEN, side, abs(held), price, sequence=TIGHTENED, stop=level)


def _legs(decision: Decision, instrument: Instrument, price: Decimal) -> Iterator[tuple[Decimal, float]]:
    """Share the size out to the targets; nothing at all when even the whole is below the venue's minimum."""
    whole = instrument.size(decision.size)
    if not instrument.tradable(whole, price):
        return
    targets = decision.targets or ((0.0, 1.0),)
    parts = [(instrument.size(whole * Decimal(repr(share))), target) for target, share in targets]
    kept = [(size, target) for size, target in parts if instrument.tradable(size, price)] or [(whole, targets[0][0])]
    rest = whole - sum((size for size, _ in kept), Decimal(0))
    yield kept[0][0] + rest, kept[0][1]
    yield from kept[1:]


def _intent(
    decision: Decision,
    seat: Seat,
    action: Action,
    side: Side,
    size: Decimal,
    price: Decimal,
    *,
    sequence: int,
    stop: Decimal | None = None,
    target: Decimal | None = None,
) -> Intent:
    return Intent(
        intent_id=intent_id(seat.bot, decision.bar_ts_ns, sequence),
        bot=seat.bot,
        venue=seat.venue,
        account=seat.account,
        symbol=seat.symbol,
        action=action,
        side=side,
        size=size,
        bar_ts_ns=decision.bar_ts_ns,
        ref_price=price,
        stop=stop,
        target=target,
        leverage=decision.leverage,
        reason=decision.reason,
    )
