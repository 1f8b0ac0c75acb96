"""Bots that a person wants flat: written down with the command, worked on until the venue proves it.

Asked by the commands, run by the service. A runner may close its own position; when it does not begin, or dies, the
gateway does. A gateway that is killed in between goes on after its start: the wish is in the journal, and goes only
when the bot holds nothing, has nothing under way, and a fresh look at the venue agrees.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

import structlog

from omega.domain import Role
from omega.errors import OmegaError
from services.gateway.account import Account
from services.gateway.recovery import Recovery

RUNNER_S: Final = 2.0
"""How long a runner has to begin to close what its bot holds, before the gateway does."""
_PREFIX: Final = "flatten:"
_LOOK_S: Final = 0.25
_AGAIN_S: Final = 1.0
_AGAIN_MOST_S: Final = 30.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose command wants one bot flat."""

    command_id: str
    target: str
    actor: str


class Flattener:
    """Brings bots flat and keeps at it over restarts."""

    def __init__(self, account: Account, recovery: Recovery) -> None:
        self._account = account
        self._recovery = recovery
        self._wishes: dict[str, Wish] = {}
        self._due_s: dict[str, float] = {}
        self._again_s: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._wake = asyncio.Event()
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""
        self.on_flat: Callable[[Wish], None] = lambda _wish: None
        """Hears, inside the transaction that forgets the wish, that the last bot of a command is flat."""

    def load(self) -> None:
        """Take back what was not done when the process ended; no runner is waited for any more."""
        kept = self._account.journal.values(_PREFIX)
        self._wishes = {bot: Wish(**json.loads(text)) for bot, text in kept.items()}
        if self._wishes:
            _log.warning("flatten.resumed", bots=sorted(self._wishes))
            self._wake.set()

    @property
    def wanted(self) -> list[str]:
        """Return the bots that are to be flat and are not proven to be."""
        return sorted(self._wishes)

    def want(self, bots: Iterable[str], wish: Wish, *, patience_s: float = 0.0) -> None:
        """Write down that bots are to be flat; their runners are given so many seconds to begin by themselves."""
        journal, due_s = self._account.journal, time.monotonic() + patience_s
        text = json.dumps(asdict(wish))
        with journal.transaction():
            for bot in bots:
                journal.put(_PREFIX + bot, text)
                # Whoever asks again does not give the runner its time again.
                self._wishes[bot], self._due_s[bot] = wish, min(due_s, self._due_s.get(bot, due_s))
                self._again_s.pop(bot, None)
                self._tries.pop(bot, None)
        self._wake.set()

    def forget(self, bots: Iterable[str]) -> None:
        """Give it up: a person lets these bots trade again."""
        given_up = set(bots) & set(self._wishes)
        with self._account.journal.transaction():
            for bot in given_up:
                self._account.journal.drop(_PREFIX + bot)
        for bot in given_up:
            self._drop(bot)

    def done(self, command_id: str) -> bool:
        """Tell whether nothing of a command is left to do."""
        return all(wish.command_id != command_id for wish in self._wishes.values())

    async def run(self) -> None:
        """Work whenever there is something to do, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S if self._wishes else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Close what is held and not being closed, and forget the wishes that the venue proves fulfilled.

        Raises:
            EnvironmentFault: the journal cannot be written; nothing was sent.
        """
        now = time.monotonic()
        due = [bot for bot in self._wishes if self._due_s.get(bot, 0.0) <= now]
        if not due:
            return
        with self._account.activity.doing("flatten"):
            for bot in due:
                await self._close(bot)
            flat = [bot for bot in due if bot in self._wishes and not self._open(bot)]
            if flat:
                await self._prove(flat)

    # how ------------------------------------------------------------------------------------------------------------

    def _open(self, bot: str) -> bool:
        """Tell whether a bot holds anything, or an order of it may still change what it holds."""
        account = self._account
        held = any(book.size for (name, _), book in account.books.items() if name == bot)
        return held or bool(account.reserved(bot=bot)) or bool(account.ahead(bot=bot))

    async def _close(self, bot: str) -> None:
        """Close what a bot holds where no exit of it is under way; one that was refused is not repeated at once."""
        account, now = self._account, time.monotonic()
        if self._again_s.get(bot, 0.0) > now or self.close_out is None:
            return
        under_way = [*account.reserved(bot=bot), *(order for order, _ in account.ahead(bot=bot))]
        closing = {order.symbol for order in under_way if order.role is not Role.ENTRY}
        held = {symbol: book.size for (name, symbol), book in account.books.items() if name == bot and book.size}
        todo = {symbol: size for symbol, size in held.items() if symbol not in closing}
        for symbol, size in todo.items():
            if (wish := self._wishes.get(bot)) is None:
                return  # a person has given it up while another order was on its way: what is left is the bot's
            _log.warning("flatten.closing", bot=bot, symbol=symbol, size=str(size))
            await self.close_out(bot, symbol, size, f"flatten by {wish.actor}")
        if todo and bot in self._wishes:
            tries = self._tries[bot] = self._tries.get(bot, 0) + 1
            self._again_s[bot] = now + min(_AGAIN_S * 2 ** (tries - 1), _AGAIN_MOST_S)

    async def _prove(self, flat: list[str]) -> None:
        """Read the venue anew, and forget the wishes of bots that are flat after it too."""
        account = self._account
        try:
            await self._recovery.reconcile()
        except OmegaError as error:
            _log.info("flatten.not_proven", bots=flat, why=str(error)[:200])
            self._due_s.update({bot: time.monotonic() + _AGAIN_S for bot in flat if bot in self._wishes})
            return
        for bot in flat:
            traded = {symbol for (name, symbol), _ in account.books.items() if name == bot}
            if bot not in self._wishes:
                continue  # given up meanwhile
            if self._open(bot):
                self._due_s[bot] = time.monotonic() + _LOOK_S
            elif traded & set(self._recovery.residuals):  # a whole reading of the venue is not for four times a second
                self._due_s[bot] = time.monotonic() + _AGAIN_S
            else:
                self._fulfil(bot)

    def _fulfil(self, bot: str) -> None:
        wish = self._wishes[bot]
        with self._account.journal.transaction():
            self._account.journal.drop(_PREFIX + bot)
            if all(other == bot or left.command_id != wish.command_id for other, left in self._wishes.items()):
                self.on_flat(wish)
        self._drop(bot)
        _log.warning("flatten.done", bot=bot, actor=wish.actor)

    def _drop(self, bot: str) -> None:
        del self._wishes[bot]
        self._due_s.pop(bot, None)
        self._again_s.pop(bot, None)
        self._tries.pop(bot, None)
