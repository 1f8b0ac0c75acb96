"""Exits that the venue has refused for a reason that passes: too many requests, maintenance, a clock that was off.

Such a refusal proves that nothing was done, so a new order may be sent. Strategies that leave on an event say so once:
without another order the bot would stay in until its stop. Told by the order path; kept in the journal together with
the refusal, so that a gateway that dies goes on after its start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from omega.domain import Fill, Role
from omega.errors import EnvironmentFault
from omega.resilience import ended
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.classify import RefusalKind
from services.gateway.recovery import Recovery
from services.gateway.rows import JournalOrder

PASSING: Final = frozenset({RefusalKind.RATE, RefusalKind.MAINT, RefusalKind.CLOCK})
_FIRST_S: Final = 0.5
_MOST_S: Final = 30.0
_LOOK_S: Final = 0.25
_PREFIX: Final = "again:"
_Place = tuple[str, str]
"""Bot and symbol."""
_Book = tuple[Decimal, Decimal, int]
"""The book that an exit was for: size, entry, round trips before it."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Exit:
    """What is still to be closed, signed as the order that closes it was, and why it was not."""

    closes: Decimal
    meant: _Book
    refused: str
    wait_s: float


class ExitsAgain:
    """Closes again what a refused exit was to close, as long as the bot's book is still the one that it meant."""

    def __init__(self, account: Account, recovery: Recovery) -> None:
        self._account = account
        self._recovery = recovery
        self._exits: dict[_Place, _Exit] = {}
        self._tasks: dict[_Place, asyncio.Task[None]] = {}
        self._resumed: set[_Place] = set()
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""

    # before and after a restart -------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with what was not closed when the process ended; called when start-up has recovered the books.

        Raises:
            EnvironmentFault: the journal cannot be written.
        """
        for key, text in self._account.journal.values(_PREFIX).items():
            place, exit_ = _read(text)
            if self._book(place) == exit_.meant:
                self._exits[place] = exit_
                self._resumed.add(place)
                self._begin(place)
                _log.warning("exit.resumed", bot=place[0], symbol=place[1], refused=exit_.refused)
            else:
                self._account.journal.drop(_PREFIX + key)

    async def close(self) -> None:
        """Let what waits rest; the next start goes on with it."""
        await ended(self._tasks.values())

    # news -----------------------------------------------------------------------------------------------------------

    def note(self, kind: RefusalKind, order: JournalOrder) -> None:
        """Write down, inside the transaction of the refusal, what is still to be closed, or that it is given up."""
        if order.role is Role.ENTRY:
            return
        place, wanted = (order.bot, order.symbol), self._wanted(kind, order)
        if wanted is not None:
            self._account.journal.put(_key(place), _text(place, wanted))
        else:
            self._account.journal.drop(_key(place))

    def refused(self, kind: RefusalKind, order: JournalOrder) -> None:
        """Take up a refusal that was noted: one that passes is answered by another order, later and later."""
        if order.role is Role.ENTRY:
            return
        place, wanted = (order.bot, order.symbol), self._wanted(kind, order)
        if wanted is not None:
            self._exits[place] = wanted
            self._begin(place)
        else:
            self._give_up(place)

    def filled(self, fill: Fill) -> None:
        """Forget an exit whose book has changed: what is left of it is not what the bot meant.

        Raises:
            EnvironmentFault: the journal cannot be written.
        """
        place = (fill.bot, fill.symbol)
        if place in self._exits and self._book(place) != self._exits[place].meant:
            self._give_up(place)
            with self._account.journal.news():
                self._account.journal.drop(_key(place))

    # how ------------------------------------------------------------------------------------------------------------

    def _wanted(self, kind: RefusalKind, order: JournalOrder) -> _Exit | None:
        """Return what is still to be closed, None for nothing; an exit that is refused again keeps its longer wait."""
        meant, before = self._book((order.bot, order.symbol)), self._exits.get((order.bot, order.symbol))
        if kind not in PASSING or not meant[0]:
            return None
        wait_s = before.wait_s if before is not None and before.meant == meant else _FIRST_S
        return _Exit(min(order.size, abs(meant[0])) * order.side.sign, meant, kind.value, wait_s)

    def _begin(self, place: _Place) -> None:
        if (old := self._tasks.get(place)) is not None:
            old.cancel()
        task = asyncio.get_running_loop().create_task(self._work(place), name=f"again:{place[0]}:{place[1]}")
        self._tasks[place] = task
        task.add_done_callback(lambda done: self._end(place, done))

    def _end(self, place: _Place, task: asyncio.Task[None]) -> None:
        if self._tasks.get(place) is task:
            del self._tasks[place]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("exit_again.broken", bot=place[0], symbol=place[1], error=f"{type(error).__name__}: {error}")
            self._account.halt_entries(f"the exit of {place[0]} in {place[1]} is not sent again: {error}")

    def _give_up(self, place: _Place) -> None:
        self._exits.pop(place, None)
        self._resumed.discard(place)
        if (task := self._tasks.get(place)) is not None:
            task.cancel()

    async def _work(self, place: _Place) -> None:
        """Send an order whenever none is under way, until the book is another, which `filled` hears of."""
        while (exit_ := self._exits.get(place)) is not None:
            await asyncio.sleep(exit_.wait_s)
            while self._doubtful(place):  # noqa: ASYNC110 - orders, fills, residuals: no one event
                await asyncio.sleep(_LOOK_S)
            self._resumed.discard(place)
            self._exits[place] = replace(exit_, wait_s=min(max(exit_.wait_s, _FIRST_S) * 2, _MOST_S))
            await self._close(place, exit_)

    async def _close(self, place: _Place, exit_: _Exit) -> None:
        bot, symbol = place
        _log.warning("exit.again", bot=bot, symbol=symbol, refused=exit_.refused, after_s=exit_.wait_s)
        try:
            if self.close_out is not None:
                await self.close_out(bot, symbol, -exit_.closes, f"again: the exit was refused ({exit_.refused})")
        except EnvironmentFault as error:  # nothing was sent
            self._account.halt_in_memory(str(error))

    def _doubtful(self, place: _Place) -> bool:
        """Tell whether what the bot holds may already be another: an exit is under way, or a fill is not booked.

        After a restart the books must have agreed with the venue once: a fill of the former life may be told late.
        """
        bot, symbol = place
        account = self._account
        under_way = any(order.role is not Role.ENTRY for order in account.reserved(symbol, bot=bot))
        unbooked = any(order.symbol == symbol for order, _ in account.ahead(bot=bot))
        return under_way or unbooked or (place in self._resumed and symbol in self._recovery.residuals)

    def _book(self, place: _Place) -> _Book:
        book = self._account.books.book(*place)
        return book.size, book.entry, book.trades


def _key(place: _Place) -> str:
    return f"{_PREFIX}{place[0]}:{place[1]}"


def _text(place: _Place, exit_: _Exit) -> str:
    size, entry, trades = exit_.meant
    return json.dumps([*place, str(exit_.closes), str(size), str(entry), trades, exit_.refused, exit_.wait_s])


def _read(text: str) -> tuple[_Place, _Exit]:
    bot, symbol, closes, size, entry, trades, refused, wait_s = json.loads(text)
    return (bot, symbol), _Exit(Decimal(closes), (Decimal(size), Decimal(entry), trades), refused, wait_s)
