"""Questions with a button: a nonce that is good once, for one person, for a short time.

Kept on the bus, so a restart forgets none.

While the bus is away a copy in memory decides: there is one gateway session, so nobody else could have it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Final

from omega.bus import Bus
from omega.errors import OmegaError
from services.discord_bot.card import Confirm

_MEMORY: Final = 1_000
PATIENCE_S: Final = 1.0
"""How long the bus may take: Discord wants its first answer within three seconds."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a button stands for."""

    actor: int
    action: str
    args: dict[str, str]
    expires_ns: int


@dataclass(frozen=True, slots=True)
class _Copy:
    """Our own copy of a question, and whether the bus has it too."""

    text: str
    on_bus: bool


class Questions:
    """All open questions."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._copies: dict[str, _Copy] = {}

    async def ask(self, confirm: Confirm, actor: int, *, now_ns: int, life_s: float) -> str:
        """Open a question and return its nonce."""
        nonce = secrets.token_urlsafe(12)
        body = {
            "actor": actor,
            "action": confirm.action,
            "args": confirm.args,
            "expires_ns": now_ns + int(life_s * 1e9),
        }
        text = json.dumps(body)
        self._copies[nonce] = _Copy(text, on_bus=await self._put(nonce, text, life_s))
        if len(self._copies) > _MEMORY:
            del self._copies[next(iter(self._copies))]
        return nonce

    async def _put(self, nonce: str, text: str, life_s: float) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._bus.put(self._key(nonce), text, ttl_s=life_s)
        except (OmegaError, TimeoutError):
            return False
        return True

    async def look(self, nonce: str) -> Question | None:
        """Return a question without using it up."""
        if copy := self._copies.get(nonce):
            return _read(copy.text)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return _read(await self._bus.get(self._key(nonce)))
        except (OmegaError, TimeoutError):
            return None

    async def take(self, nonce: str) -> Question | None:
        """Use a question up: of any number of presses one gets it."""
        copy = self._copies.pop(nonce, None)
        try:
            async with asyncio.timeout(PATIENCE_S):
                kept = await self._bus.take(self._key(nonce))
        except (OmegaError, TimeoutError):
            return _read(copy.text) if copy else None
        return _read(copy.text if copy and not copy.on_bus else kept)

    def _key(self, nonce: str) -> str:
        return self._bus.topics.state("confirm", nonce)


def _read(text: str | None) -> Question | None:
    return Question(**json.loads(text)) if text else None
