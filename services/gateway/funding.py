"""Funding, read as soon as the venue's clock has passed an instant: while the books are still those that paid.

Called by the private side after every batch of pushes; the reconciliation reads what comes later.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Final

from omega.domain import SECOND_NS
from omega.errors import OmegaError
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.private import PrivateSide

INTERVAL_NS: Final = 8 * 3_600 * SECOND_NS
"""Perpetuals settle at 00, 08 and 16 UTC; a contract that settles more often is read by the reconciliation."""

_log = get_logger(__name__)


class FundingWatch:
    """Looks at the venue's clock and reads the bills of an instant once."""

    def __init__(self, account: Account, private: PrivateSide) -> None:
        self._account = account
        self._private = private
        self._instant_ns = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Begin to read when an instant has passed; what is in hand keeps `settle` waiting from here on."""
        account = self._account
        instant_ns = account.venue.venue_ns() // INTERVAL_NS * INTERVAL_NS
        first, self._instant_ns, passed = not self._instant_ns, instant_ns, instant_ns > self._instant_ns
        symbols = [symbol for symbol in sorted(account.books.symbols()) if account.books.open(symbol)]
        if first or not passed or not symbols:
            return
        hand = ExitStack()
        hand.enter_context(account.activity.doing("funding"))
        task = asyncio.get_running_loop().create_task(self._read(symbols, hand), name="funding")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, symbols: list[str], hand: ExitStack) -> None:
        with hand:
            for symbol in symbols:
                try:
                    async with self._account.turns.read():
                        bills = await self._account.venue.funding(symbol)
                    self._private.take_funding(bills)
                except OmegaError as error:  # the reconciliation reads them again
                    _log.warning("funding.unread", symbol=symbol, why=str(error)[:200])
