"""Brings what the venue has told to the disk beside the event loop, so that no order waits for it. Run by the service.

An intent is on the disk before its order leaves; that commit waits for the disk itself. What comes back, the outcome of
a send, a fill, a fired stop, the venue would tell again after a crash of the machine: it waits here, and its events
leave when it is on the disk. Several commits that come together are one sync.
"""

from __future__ import annotations

import asyncio
from typing import Final

from omega.errors import EnvironmentFault
from services.gateway.account import Account

_AGAIN_S: Final = 0.25
_TOGETHER_S: Final = 0.004
"""How long news waits for more of it: two syncs at once slow each other down, and an intent's is one of them."""


class JournalSync:
    """Syncs the journal of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def run(self) -> None:
        """Sync as often as there is news, until cancelled; while the disk refuses, entries are halted."""
        journal, news = self._account.journal, asyncio.Event()
        if not journal.synced:
            news.set()
        journal.sync_with(news.set)
        while True:
            await news.wait()
            await asyncio.sleep(_TOGETHER_S)
            news.clear()
            if journal.synced:  # an intent that came meanwhile has brought everything along
                continue
            mark = journal.mark()
            try:
                await asyncio.to_thread(journal.sync)
            except EnvironmentFault as error:
                self._account.halt_in_memory(str(error))
                await asyncio.sleep(_AGAIN_S)
                news.set()
            else:
                journal.lasting(mark)

    def finish(self) -> None:
        """Sync what waits; from here on every commit is synced by itself.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        journal = self._account.journal
        journal.sync_with(None)
        journal.sync()
        journal.lasting(journal.mark())
