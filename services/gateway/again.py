"""Exits that were not carried out: refused for a reason that passes, or lost on their way and proven absent.

Reasons that pass are too many requests, maintenance, a clock that was off. Such a refusal and such a proof both say
that nothing was done, so a new order may be sent. Strategies that leave on an event say so once: without another order
the bot would stay in until its stop. Told by the order path, by the account's steps and by the look-ups; kept in the
journal together with the refusal or the proof, so that a gateway that dies goes on after its start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from omega.domain import Fill, OrderState, Role
from omega.errors import EnvironmentFault, OmegaError
from omega.resilience import ended
from omega.telemetry import get_logger
from services.gateway.account import ABSENT, Account
from services.gateway.classify import RefusalKind
from services.gateway.recovery import Recovery
from services.gateway.rows import JournalOrder

PASSING: Final = frozenset({RefusalKind.RATE, RefusalKind.MAINT, RefusalKind.CLOCK})
_FIRST_S: Final = 0.5
_MOST_S: Final = 30.0
_LOOK_S: Final = 0.25
_READ_S: Final = 1.0
"""Time between two readings of the venue's positions: these cost a request each."""
_PREFIX: Final = "again:"
_DOUBT: Final = "doubt:"
"""Before the client id of an exit whose fate nobody knows: the book that it was for."""
_Place = tuple[str, str]
"""Bot and symbol."""
_Book = tuple[Decimal, Decimal, int]
"""The book that an exit was for: size, entry, round trips before it."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Exit:
    """What is still to be closed, signed as the order that closes it was, and why it was not: a refusal or ABSENT."""

    closes: Decimal
    meant: _Book
    why: str
    wait_s: float


class ExitsAgain:
    """Closes again what an exit was to close, as long as the bot's book is still the one that it meant."""

    def __init__(self, account: Account, recovery: Recovery) -> None:
        self._account = account
        self._recovery = recovery
        self._exits: dict[_Place, _Exit] = {}
        self._tasks: dict[_Place, asyncio.Task[None]] = {}
        self._unsure: set[_Place] = set()
        """Where books and venue must agree anew before anything is sent: after a restart, and after a doubt."""
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
                self._unsure.add(place)
                self._begin(place, exit_)
                _log.warning("exit.resumed", bot=place[0], symbol=place[1], why=exit_.why)
            else:
                self._account.journal.drop(_PREFIX + key)

    async def close(self) -> None:
        """Let what waits rest; the next start goes on with it."""
        await ended(self._tasks.values())

    # news -----------------------------------------------------------------------------------------------------------

    def note(self, kind: RefusalKind, order: JournalOrder) -> None:
        """Write down, inside the transaction of a refusal, what is still to be closed, or that it is given up."""
        if order.role is Role.ENTRY:
            return
        place, meant = _place(order), self._book(_place(order))
        if kind in PASSING and meant[0]:
            self._keep(place, self._wanted(order, meant, kind.value))
        else:
            self._account.journal.drop(_key(place))

    def stepped(self, before: OrderState, order: JournalOrder) -> None:
        """Write down, inside the transaction of a step, which book an exit in doubt is for; once absent, what to close.

        The book is that of the beginning of the doubt: a stop that fires before there is proof has closed it, and what
        the bot opens afterwards is another position.
        """
        if order.role is Role.ENTRY:
            return
        journal, key, place = self._account.journal, _DOUBT + order.client_id, _place(order)
        if order.state is OrderState.UNRESOLVED:
            journal.put(key, json.dumps(_plain(self._book(place))))
        elif before is OrderState.UNRESOLVED:
            meant = _book_of(json.loads(journal.get(key, "null")))
            journal.drop(key)
            absent = order.state is OrderState.REJECTED and order.code == ABSENT
            if absent and meant == self._book(place) and meant[0] * order.side.sign < 0:
                self._keep(place, self._wanted(order, meant, ABSENT))

    def refused(self, order: JournalOrder) -> None:
        """Take up a refusal that was noted: one that passes is answered by another order, later and later."""
        if order.role is not Role.ENTRY:
            self._follow(_place(order))

    def absent(self, order: JournalOrder) -> None:
        """Take up a proof of absence that was noted: answered by another order once the venue's position agrees."""
        if order.role is not Role.ENTRY:
            self._unsure.add(_place(order))
            self._follow(_place(order))

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

    def _wanted(self, order: JournalOrder, meant: _Book, why: str) -> _Exit:
        """Return what is still to be closed; an exit that was not carried out again keeps its longer wait."""
        before = self._exits.get(_place(order))
        wait_s = before.wait_s if before is not None and before.meant == meant else _FIRST_S
        return _Exit(min(order.size, abs(meant[0])) * order.side.sign, meant, why, wait_s)

    def _keep(self, place: _Place, exit_: _Exit) -> None:
        self._account.journal.put(_key(place), _text(place, exit_))

    def _follow(self, place: _Place) -> None:
        """Do what the journal says of a place."""
        text = self._account.journal.get(_key(place))
        if text:
            self._begin(place, _read(text)[1])
        else:
            self._give_up(place)

    def _begin(self, place: _Place, exit_: _Exit) -> None:
        self._exits[place] = exit_
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
        self._unsure.discard(place)
        if (task := self._tasks.get(place)) is not None:
            task.cancel()

    async def _work(self, place: _Place) -> None:
        """Send an order whenever none is under way, until the book is another, which `filled` hears of."""
        while (exit_ := self._exits.get(place)) is not None:
            await asyncio.sleep(exit_.wait_s)
            await self._certain(place)
            self._exits[place] = replace(exit_, wait_s=min(max(exit_.wait_s, _FIRST_S) * 2, _MOST_S))
            await self._close(place, exit_)

    async def _close(self, place: _Place, exit_: _Exit) -> None:
        bot, symbol = place
        _log.warning("exit.again", bot=bot, symbol=symbol, why=exit_.why, after_s=exit_.wait_s)
        words = "never reached the venue" if exit_.why == ABSENT else f"was refused ({exit_.why})"
        try:
            if self.close_out is not None:
                await self.close_out(bot, symbol, -exit_.closes, f"again: the exit {words}")
        except EnvironmentFault as error:  # nothing was sent
            self._account.halt_in_memory(str(error))

    async def _certain(self, place: _Place) -> None:
        """Return when the bot's book is known to be what it holds; nothing is awaited after the last look at it."""
        while True:
            if self._doubtful(place):
                await asyncio.sleep(_LOOK_S)
            elif place not in self._unsure:
                return
            elif await self._agrees(place[1]):
                self._unsure.discard(place)
            else:
                await asyncio.sleep(_READ_S)

    def _doubtful(self, place: _Place) -> bool:
        """Tell whether what the bot holds may already be another: an exit is under way, or a fill is not booked."""
        bot, symbol = place
        account = self._account
        under_way = any(order.role is not Role.ENTRY for order in account.reserved(symbol, bot=bot))
        return under_way or any(order.symbol == symbol for order, _ in account.ahead(bot=bot))

    async def _agrees(self, symbol: str) -> bool:
        """Tell whether the venue's positions, read anew, are what the books say: no execution is yet to be told."""
        try:
            return symbol not in await self._recovery.check_positions()
        except OmegaError as error:
            _log.info("exit_again.not_compared", symbol=symbol, why=str(error)[:200])
            return False

    def _book(self, place: _Place) -> _Book:
        book = self._account.books.book(*place)
        return book.size, book.entry, book.trades


def _place(order: JournalOrder) -> _Place:
    return order.bot, order.symbol


def _key(place: _Place) -> str:
    return f"{_PREFIX}{place[0]}:{place[1]}"


def _plain(book: _Book) -> list[str | int]:
    size, entry, trades = book
    return [str(size), str(entry), trades]


def _book_of(plain: list[str | int] | None) -> _Book:
    """Return a kept book; one that was never kept is empty and closes nothing."""
    size, entry, trades = plain or ("0", "0", 0)
    return Decimal(size), Decimal(entry), int(trades)


def _text(place: _Place, exit_: _Exit) -> str:
    return json.dumps([*place, str(exit_.closes), *_plain(exit_.meant), exit_.why, exit_.wait_s])


def _read(text: str) -> tuple[_Place, _Exit]:
    bot, symbol, closes, size, entry, trades, why, wait_s = json.loads(text)
    return (bot, symbol), _Exit(Decimal(closes), _book_of([size, entry, trades]), why, wait_s)
