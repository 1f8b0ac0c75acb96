"""What the bot knows of the farm: the last value of everything, with its age.

Fed from the bus, asked by every command.

It needs nobody else to answer: with the farm or Redis down it still holds what was true last.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Generic, TypeVar

from omega.bus import (
    FARM,
    AccountStatus,
    BookLine,
    BotStatus,
    CommandResult,
    DecisionMade,
    Envelope,
    HaltChanged,
    Heartbeat,
    StopEvent,
)
from omega.domain import Fill, Position, Reading

T = TypeVar("T")
_KEPT: Final = 2_000
"""Fills whose outcome, and commands whose results, are remembered."""
_GATEWAY: Final = "gateway"
_SETTLED_NS: Final = 5_000_000_000
"""How much newer than the last fill an account status must be before it corrects a folded book."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """A value and when its sender sent it."""

    value: T
    ts_ns: int

    def age_s(self, now_ns: int) -> float:
        """Return its age in seconds."""
        return max(0.0, (now_ns - self.ts_ns) / 1e9)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fill did to its book: the profit it took after its own fee, and the book after it."""

    gained: Decimal
    before: Position
    after: Position


class FarmView:
    """A projection of the bus; `learn` is idempotent, so that replays and repeats change nothing."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.bots: dict[str, Seen[BotStatus]] = {}
        self.accounts: dict[str, Seen[AccountStatus]] = {}
        self.readings: dict[str, Seen[Reading]] = {}
        self.services: dict[str, Seen[Heartbeat]] = {}
        self.decisions: dict[str, Seen[DecisionMade]] = {}
        self.halts: dict[str, Seen[HaltChanged]] = {}
        self.stops: dict[tuple[str, str], Seen[StopEvent]] = {}
        self.books: dict[tuple[str, str], Position] = {}
        self.heard_ns = 0
        self._filled_ns: dict[tuple[str, str], int] = {}
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()
        self._results: OrderedDict[str, dict[str, CommandResult]] = OrderedDict()
        self._news = asyncio.Event()

    def learn(self, envelope: Envelope) -> None:
        """Take in one message; unknown types and older values are ignored."""
        self.heard_ns = max(self.heard_ns, envelope.ts_ns)
        seen_ns, message = envelope.ts_ns, envelope.data
        match message:
            case BotStatus(bot=bot):
                _keep(self.bots, bot, message, seen_ns)
            case AccountStatus(venue=venue, account=account):
                _keep(self.accounts, f"{venue}/{account}", message, seen_ns)
                self._correct(message, seen_ns)
            case Reading(factor=factor):
                _keep(self.readings, factor, message, seen_ns)
            case Heartbeat(instance=instance):
                _keep(self.services, instance, message, seen_ns)
            case DecisionMade(bot=bot):
                _keep(self.decisions, bot, message, seen_ns)
            case HaltChanged(venue=venue, account=account, scope="account"):
                _keep(self.halts, f"{venue}/{account}", message, seen_ns)
            case StopEvent(bot=bot, symbol=symbol):
                _keep(self.stops, (bot, symbol), message, seen_ns)
            case Fill():
                self.outcome(message)
            case CommandResult():
                self._result(message)
            case _:
                return
        self._news.set()
        self._news = asyncio.Event()

    def outcome(self, fill: Fill) -> Outcome:
        """Fold a fill into its book, once, and return what it did."""
        if known := self._outcomes.get(fill.trade_id):
            return known
        key = (str(fill.bot), str(fill.symbol))
        before = self.books.get(key, Position())
        after = before.apply(fill)
        self.books[key] = after
        self._filled_ns[key] = max(fill.ts_ns, self._filled_ns.get(key, 0))
        made = Outcome(after.realised - before.realised - fill.fee, before, after)
        self._outcomes[fill.trade_id] = made
        if len(self._outcomes) > _KEPT:
            self._outcomes.popitem(last=False)
        return made

    def _correct(self, status: AccountStatus, seen_ns: int) -> None:
        """Let the gateway's books overrule ours when no fill can be on its way."""
        for line in status.books:
            key = (line.bot, line.symbol)
            book = self.books.get(key)
            settled = seen_ns > self._filled_ns.get(key, 0) + _SETTLED_NS
            if (book is None and line.size) or (book is not None and settled and book.size != line.size):
                self.books[key] = Position(
                    size=line.size, entry=line.entry, realised=line.realised, fees=line.fees, funding=line.funding
                )

    def _result(self, result: CommandResult) -> None:
        answers = self._results.setdefault(result.command_id, {})
        # The gateway stands behind a bot's runner and answers too: that is no answer of the bot.
        behind = result.service == _GATEWAY and result.target != FARM
        answers[_GATEWAY if behind else result.target or result.service] = result
        if len(self._results) > _KEPT:
            self._results.popitem(last=False)

    def results(self, command_id: str) -> dict[str, CommandResult]:
        """Return the newest answer of each target to a command."""
        return dict(self._results.get(command_id, {}))

    def lines(self) -> list[tuple[str, BookLine]]:
        """Return every open book with its account, as the gateways see them."""
        found = [(name, line) for name, seen in sorted(self.accounts.items()) for line in seen.value.books]
        return [(name, line) for name, line in found if line.size]

    def age_s(self) -> float:
        """Return the time since the last message of any kind; infinite before the first."""
        return (self.clock() - self.heard_ns) / 1e9 if self.heard_ns else float("inf")

    async def wait(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait until something that was learned makes a condition true; tell whether it did in time."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    await self._news.wait()
        except TimeoutError:
            return False
        return True


_Key = TypeVar("_Key", str, tuple[str, str])


def _keep(table: dict[_Key, Seen[T]], key: _Key, value: T, ts_ns: int) -> None:
    known = table.get(key)
    if known is None or ts_ns >= known.ts_ns:
        table[key] = Seen(value, ts_ns)
