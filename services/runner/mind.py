"""A bot's round trips, and the trader's state of mind that they leave behind. Pure; kept in the bot's state.

Called by the fold: fills and funding make trips, the close of a bar lets the mind react to those that have ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from omega.domain import MINUTE_NS
from omega.engine import Portfolio
from omega.engine.profile import NEUTRAL_MIND, Mind, Profile
from omega.engine.stages import PsychologyStage
from omega.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Trip:
    """A round trip that has ended and that the mind has not reacted to yet.

    Units: base and gained in quote currency, base the equity before the entry, gained net of fees and funding; since
        and until are the instants of its first and last fill.
    """

    base: Decimal
    gained: Decimal
    since_ns: int
    until_ns: int

    @property
    def result(self) -> float:
        """What it has made, as a fraction of the equity before its entry."""
        return float(self.gained / self.base) if self.base > 0 else 0.0


@dataclass(slots=True)
class Trips:
    """Follows the round trips of one book.

    Attributes:
        base: equity before the entry of the position that is open.
        since_ns: instant of its first fill.
        ended: the trips that have ended since the last bar, oldest first.
    """

    base: Decimal = Decimal(0)
    since_ns: int = 0
    ended: list[Trip] = field(default_factory=list)

    def filled(self, side: int, worth: Decimal, book: Portfolio, ts_ns: int) -> None:
        """Follow one fill: `side` and `worth` (capital and net profit) are those of the book before it."""
        if book.side == side:
            return
        if side:
            now = book.capital + book.position.net
            self.ended.append(Trip(self.base, now - self.base, self.since_ns, ts_ns))
            worth = now
        self.base, self.since_ns = worth, ts_ns

    def funded(self, amount: Decimal, book: Portfolio) -> None:
        """Follow one payment; what a flat book is paid belongs to the trip that has just ended."""
        if self.ended and not book.side:
            self.ended[-1] = replace(self.ended[-1], gained=self.ended[-1].gained + amount)

    def state(self) -> dict[str, Any]:
        """Return the trips as JSON values."""
        ended = [{name: _plain(value) for name, value in asdict(trip).items()} for trip in self.ended]
        return {"base": str(self.base), "since_ns": self.since_ns, "ended": ended}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Trips:
        """Rebuild the trips from their state; raises what unsound values raise."""
        ended = [
            Trip(Decimal(one["base"]), Decimal(one["gained"]), int(one["since_ns"]), int(one["until_ns"]))
            for one in state["ended"]
        ]
        return cls(Decimal(state["base"]), int(state["since_ns"]), ended)


@dataclass(slots=True)
class Temper:
    """Whose state of mind it is, and the state.

    Attributes:
        who: name of the profile, empty where psychology is off.
        first_mind: the profile's own state, before any trade.
    """

    who: str = ""
    mind: Mind = NEUTRAL_MIND
    first_mind: Mind = NEUTRAL_MIND

    def become(self, who: str, profile: Profile | None) -> None:
        """Be the trader of a profile: the same one keeps its mind, another one begins with its own."""
        self.first_mind = NEUTRAL_MIND if profile is None else profile.first_mind()
        if profile is None or who != self.who:
            self.who, self.mind = ("" if profile is None else who), self.first_mind

    def react(self, stage: PsychologyStage, trip: Trip, *, drawdown: float, bar_ns: int) -> PsychologyStage:
        """Return the stage after a round trip, as history reacts to it: times are those of the bars of its fills.

        Units: drawdown a fraction of the running peak; bar_ns the length of a bar.
        """
        since, until = (at_ns - at_ns % bar_ns for at_ns in (trip.since_ns, trip.until_ns))
        held_min = (until - since) / MINUTE_NS
        after = stage.after_trade(trip.result, held_min=held_min, drawdown=drawdown, ts_ns=until)
        self.mind = after.mind
        return after

    def state(self) -> dict[str, Any] | None:
        """Return the state as JSON values, None where psychology is off."""
        return {"profile": self.who, **PsychologyStage(mind=self.mind).state()} if self.who else None

    @classmethod
    def restore(cls, state: Mapping[str, Any] | None) -> Temper:
        """Rebuild it from its state.

        Raises:
            CorruptData: it lacks a field or holds something that does not fit.
        """
        if state is None:
            return cls()
        who = state.get("profile")
        if not isinstance(who, str):
            raise CorruptData(f"saved state of mind names the profile {who!r}; delete it to start calm")
        return cls(who, PsychologyStage().restored(state).mind)


def _plain(value: Decimal | int) -> str | int:
    return str(value) if isinstance(value, Decimal) else value
