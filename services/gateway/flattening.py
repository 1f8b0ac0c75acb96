"""Bots that a person wants flat: written down with the command, worked on until the venue proves it.

Asked by the commands, run by the service. A runner may close its own position; when it does not begin, or dies, the
gateway does. A gateway that is killed in between goes on after its start: the wish is in the journal, and goes only
when the bot holds nothing, has nothing under way, and a fresh look at the venue agrees.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Container, Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

from omega.domain import Role
from omega.errors import OmegaError
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.recovery import Recovery

RUNNER_S: Final = 2.0
"""How long a runner has to begin to close what its bot holds, before the gateway does."""
_PREFIX: Final = "flatten:"
_LOOK_S: Final = 0.25
_AGAIN_S: Final = 1.0
_AGAIN_MOST_S: Final = 30.0
_TRIES: Final = 8
"""Tries that still make the next one wait longer."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose command wants one bot flat."""

    command_id: str
    target: str
    actor: str


@dataclass(slots=True)
class _Errand:
    """One bot that is to be flat: who wants it, and when it is worked on. Times are of the monotonic clock, in s."""

    wishes: list[Wish]
    due_s: float = 0.0
    again_s: float = 0.0
    tries: int = 0


class Flattener:
    """Brings bots flat and keeps at it over restarts."""

    def __init__(self, account: Account, recovery: Recovery) -> None:
        self._account = account
        self._recovery = recovery
        self._errands: dict[str, _Errand] = {}
        self._wake = asyncio.Event()
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""
        self.on_flat: Callable[[Wish], None] = lambda _wish: None
        """Hears, inside the transaction that forgets the wish, that the last bot of a command is flat."""
        self.on_given_up: Callable[[Wish], None] = lambda _wish: None
        """Hears, inside the transaction that forgets the wish, that the rest of a command will not be done."""

    def load(self) -> None:
        """Take back what was not done when the process ended; no runner is waited for any more."""
        kept = self._account.journal.values(_PREFIX)
        self._errands = {bot: _Errand(_wishes_of(text)) for bot, text in kept.items()}
        if self._errands:
            _log.warning("flatten.resumed", bots=sorted(self._errands))
            self._wake.set()

    @property
    def wanted(self) -> list[str]:
        """Return the bots that are to be flat and are not proven to be."""
        return sorted(self._errands)

    def want(self, bots: Iterable[str], wish: Wish, *, patience_s: float = 0.0) -> None:
        """Write down that bots are to be flat; their runners are given so many seconds to begin by themselves."""
        journal, due_s = self._account.journal, time.monotonic() + patience_s
        with journal.transaction():
            for bot in bots:
                errand = self._errands.setdefault(bot, _Errand([], due_s))
                if wish not in errand.wishes:
                    errand.wishes.append(wish)
                # Whoever asks again does not give the runner its time again.
                errand.due_s, errand.again_s, errand.tries = min(due_s, errand.due_s), 0.0, 0
                journal.put(_PREFIX + bot, json.dumps([asdict(one) for one in errand.wishes]))
        self._wake.set()

    def forget(self, bots: Iterable[str]) -> None:
        """Give it up: a person lets these bots trade again."""
        given_up = set(bots) & set(self._errands)
        wishes = {wish for bot in given_up for wish in self._errands[bot].wishes}
        with self._account.journal.transaction():
            for bot in given_up:
                self._account.journal.drop(_PREFIX + bot)
            for wish in sorted(wishes, key=lambda one: one.command_id):
                if self._ends(wish, given_up):
                    self.on_given_up(wish)
        for bot in given_up:
            del self._errands[bot]

    def done(self, command_id: str) -> bool:
        """Tell whether nothing of a command is left to do."""
        return all(wish.command_id != command_id for errand in self._errands.values() for wish in errand.wishes)

    async def run(self) -> None:
        """Work whenever there is something to do, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S if self._errands else None):
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
        due = [bot for bot, errand in self._errands.items() if errand.due_s <= now]
        if not due:
            return
        with self._account.activity.doing("flatten"):
            for bot in due:
                await self._close(bot)
            flat = [bot for bot in due if bot in self._errands and not self._open(bot)]
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
        errand = self._errands.get(bot)
        if errand is None or errand.again_s > now or self.close_out is None:
            return
        under_way = [*account.reserved(bot=bot), *(order for order, _ in account.ahead(bot=bot))]
        closing = {order.symbol for order in under_way if order.role is not Role.ENTRY}
        held = {symbol: book.size for (name, symbol), book in account.books.items() if name == bot and book.size}
        todo = {symbol: size for symbol, size in held.items() if symbol not in closing}
        for symbol, size in todo.items():
            if bot not in self._errands:
                return  # a person has given it up while another order was on its way: what is left is the bot's
            _log.warning("flatten.closing", bot=bot, symbol=symbol, size=str(size))
            await self.close_out(bot, symbol, size, f"flatten by {errand.wishes[-1].actor}")
        if todo:
            errand.again_s = now + min(_AGAIN_S * 2**errand.tries, _AGAIN_MOST_S)
            errand.tries = min(errand.tries + 1, _TRIES)

    async def _prove(self, flat: list[str]) -> None:
        """Read the venue anew, and forget the wishes of bots that are flat after it too."""
        account = self._account
        try:
            await self._recovery.reconcile()
        except OmegaError as error:
            _log.info("flatten.not_proven", bots=flat, why=str(error)[:200])
            for bot in flat:
                self._put_off(bot, _AGAIN_S)
            return
        for bot in flat:
            traded = {symbol for (name, symbol), _ in account.books.items() if name == bot}
            if bot not in self._errands:
                continue  # given up meanwhile
            if self._open(bot):
                self._put_off(bot, _LOOK_S)
            elif traded & set(self._recovery.residuals):  # a whole reading of the venue is not for four times a second
                self._put_off(bot, _AGAIN_S)
            else:
                self._fulfil(bot)

    def _put_off(self, bot: str, seconds: float) -> None:
        if (errand := self._errands.get(bot)) is not None:
            errand.due_s = time.monotonic() + seconds

    def _fulfil(self, bot: str) -> None:
        wishes = list(self._errands[bot].wishes)
        with self._account.journal.transaction():
            self._account.journal.drop(_PREFIX + bot)
            for wish in wishes:
                if self._ends(wish, {bot}):
                    self.on_flat(wish)
        del self._errands[bot]
        _log.warning("flatten.done", bot=bot, actors=[wish.actor for wish in wishes])

    def _ends(self, wish: Wish, bots: Container[str]) -> bool:
        """Tell whether nothing of a command is left to do when these bots are done with."""
        return all(bot in bots or wish not in errand.wishes for bot, errand in self._errands.items())


def _wishes_of(text: str) -> list[Wish]:
    """Read the wishes of one bot; before there could be several, one was kept alone."""
    kept = json.loads(text)
    return [Wish(**one) for one in (kept if isinstance(kept, list) else [kept])]
