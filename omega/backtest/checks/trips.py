"""Round trips in legs, from a farm's fills and from a back-test's trades, in one shape. Made for the parity check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from omega.backtest.checks.recorded import Recorded
from omega.bus import FundingPaid
from omega.domain import MINUTE_NS, Fill, Intent, Role, client_id, timeframe_ns

if TYPE_CHECKING:
    from omega.backtest.types import Result

_NEAR: Final = 1e-9
_INSIDE: Final = frozenset({Role.STOP, Role.TARGET, Role.LIQUIDATION})
"""What fires inside a bar; the venue stamps it with the end of the minute in which it fired."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of an entry, from its fill to the fill that closed it.

    Units: times are open times of the bars of the fills, ns UTC, exit_ns 0 while it is open; size in base units;
        prices in quote currency; fee of the fills so far in quote currency, funding positive when received.
    """

    entry_ns: int
    leg: int
    side: int
    size: float
    entry_price: float
    fee: float
    funding: float = 0.0
    exit_ns: int = 0
    exit_price: float = 0.0
    exit: str = ""

    @property
    def open(self) -> bool:
        """Whether nothing has closed it yet."""
        return not self.exit


@dataclass(slots=True)
class _Held:
    """A leg that is open: what is left of it, and what its closing has brought so far."""

    leg: Leg
    target: float
    left: float


def legs_of_farm(recorded: Recorded) -> list[Leg]:
    """Fold a bot's fills into legs: an entry opens the leg of its intent, a stop or target closes one, an exit all."""
    wanted = {client_id(intent.intent_id): intent for intent in recorded.intents}
    length = timeframe_ns(str(recorded.charter["timeframe"]))
    held: list[_Held] = []
    done: list[Leg] = []
    for event in _in_order(recorded):
        if isinstance(event, FundingPaid):
            _fund(held, float(event.amount))
        elif event.role is Role.ENTRY:
            _open(held, event, wanted.get(event.client_id), _bar_ns(event, length))
        else:
            _close(held, done, event, _bar_ns(event, length))
    return _numbered([*done, *(one.leg for one in held)])


def _in_order(recorded: Recorded) -> list[Fill | FundingPaid]:
    """Return fills and payments as the venue made them: the funding of an instant before what fills at its open."""

    def when(event: Fill | FundingPaid) -> tuple[int, bool]:
        return (_bar_ns(event, MINUTE_NS), True) if isinstance(event, Fill) else (event.ts_ns, False)

    return sorted([*recorded.fills, *recorded.funded], key=when)


def _numbered(legs: Iterable[Leg]) -> list[Leg]:
    """Sort legs and count those of one entry from 0: the numbers of intents begin where an exit leaves off."""
    made: list[Leg] = []
    for leg in sorted(legs, key=lambda one: (one.entry_ns, one.leg)):
        again = bool(made) and made[-1].entry_ns == leg.entry_ns
        made.append(replace(leg, leg=made[-1].leg + 1 if again else 0))
    return made


def legs_of_result(result: Result) -> list[Leg]:
    """Read a back-test's trades as legs; what only the end of history has closed is open."""
    from omega.backtest.types import ExitKind

    words = {ExitKind.STOP: "stop", ExitKind.TARGET: "target", ExitKind.LIQUIDATION: "liquidation"}
    trades = result.trades
    legs = []
    for row in range(trades.n):
        kind = ExitKind(int(trades.exit_kind[row]))
        closed = kind is not ExitKind.END
        leg = Leg(
            entry_ns=int(trades.entry_ts[row]),
            leg=int(trades.leg[row]),
            side=int(trades.side[row]),
            size=float(trades.size[row]),
            entry_price=float(trades.entry_price[row]),
            fee=float(trades.fee[row]),
            funding=float(trades.funding[row]),
        )
        if closed:
            exit_ns, price = int(trades.exit_ts[row]), float(trades.exit_price[row])
            leg = replace(leg, exit_ns=exit_ns, exit_price=price, exit=words.get(kind, "exit"))
        legs.append(leg)
    return _numbered(legs)


def _bar_ns(fill: Fill, length: int) -> int:
    """Return the open time of the bar in which a fill happened."""
    instant = fill.ts_ns - (MINUTE_NS if fill.role in _INSIDE else 0)
    return instant - instant % length


def _fund(held: list[_Held], amount: float) -> None:
    """Share a payment out to the open legs by size."""
    whole = sum(one.left for one in held)
    for one in held:
        one.leg = replace(one.leg, funding=one.leg.funding + amount * one.left / whole)


def _open(held: list[_Held], fill: Fill, intent: Intent | None, ts: int) -> None:
    number = int(intent.intent_id.rsplit(":", 1)[1]) if intent is not None else len(held)
    target = float(intent.target) if intent is not None and intent.target is not None else 0.0
    size = float(fill.size)
    leg = Leg(ts, number, fill.side.sign, size, float(fill.price), float(fill.fee))
    held.append(_Held(leg, target, size))


def _close(held: list[_Held], done: list[Leg], fill: Fill, ts: int) -> None:
    """Give a closing fill to the legs that it closes, its fee by size."""
    size, price = float(fill.size), float(fill.price)
    left = size
    for one in _closed_by(held, fill):
        if left <= size * _NEAR:
            break
        part = min(left, one.left)
        left -= part
        one.left -= part
        one.leg = replace(
            one.leg,
            fee=one.leg.fee + float(fill.fee) * part / size,
            exit_ns=ts,
            exit_price=price,
        )
        if one.left <= one.leg.size * _NEAR:
            held.remove(one)
            done.append(replace(one.leg, exit=fill.role.value))


def _closed_by(held: list[_Held], fill: Fill) -> Iterable[_Held]:
    """Return the open legs in the order in which a fill closes them: the one whose stop or target it is comes first."""
    mine = [one for one in held if one.leg.side == -fill.side.sign]
    if fill.role not in _INSIDE:
        return mine
    size, price = float(fill.size), float(fill.price)

    def far(one: _Held) -> tuple[bool, float]:
        other_size = abs(one.left - size) > size * _NEAR
        return other_size, abs(one.target - price) if fill.role is Role.TARGET else 0.0

    return sorted(mine, key=far)
