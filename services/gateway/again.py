"""Exits that the venue has refused for a reason that passes: too many requests, maintenance, a clock that was off.

Such a refusal proves that nothing was done, so a new order may be sent. Strategies that leave on an event say so once:
without another order the bot would stay in until its stop. Fed by the service with every refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

import structlog

from omega.domain import Role
from omega.resilience import ended
from services.gateway.account import Account
from services.gateway.classify import RefusalKind
from services.gateway.rows import JournalOrder

PASSING: Final = frozenset({RefusalKind.RATE, RefusalKind.MAINT, RefusalKind.CLOCK})
_FIRST_S: Final = 0.5
_MOST_S: Final = 30.0
_Meant = tuple[Decimal, Decimal, int]
"""The book that an exit was for: size, entry, round trips before it."""

_log = structlog.get_logger(__name__)


class ExitsAgain:
    """Closes again what a refused exit was to close, as long as the bot's book is still the one that it meant."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._waits: dict[tuple[str, str], tuple[_Meant, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""

    def refused(self, kind: RefusalKind, order: JournalOrder) -> None:
        """Take note of a refusal; one of an exit that passes is answered by another order, later and later."""
        if order.role is Role.ENTRY or kind not in PASSING:
            return
        place, meant = (order.bot, order.symbol), self._book(order)
        before, wait_s = self._waits.get(place, (meant, _FIRST_S))
        wait_s = wait_s if before == meant else _FIRST_S
        self._waits[place] = (meant, min(wait_s * 2, _MOST_S))
        work = self._again(kind, order, meant, wait_s)
        task = asyncio.get_running_loop().create_task(work, name=f"again:{order.client_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what waits; a bot that still wants to leave says so at its next bar."""
        await ended(self._tasks)

    async def _again(self, kind: RefusalKind, order: JournalOrder, meant: _Meant, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        if self._book(order) != meant or not meant[0] or self.close_out is None:
            return
        _log.warning("exit.again", bot=order.bot, symbol=order.symbol, refused=kind.value, after_s=wait_s)
        size = min(order.size, abs(meant[0])) * -order.side.sign
        await self.close_out(order.bot, order.symbol, size, f"again: the exit was refused ({kind})")

    def _book(self, order: JournalOrder) -> _Meant:
        book = self._account.books.book(order.bot, order.symbol)
        return book.size, book.entry, book.trades
