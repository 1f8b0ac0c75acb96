"""What a command's handler is given and what it declares: plain data, so that it runs without Discord.

Called by `front`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omega.plugins import PersonaEntry, personas
from personas import voice
from services.discord_bot.card import Card
from services.discord_bot.tiers import Tier

if TYPE_CHECKING:
    from services.discord_bot.desk import Desk

Show = Callable[[Card], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a slash command.

    Attributes:
        about: what Discord shows, 1 to 100 characters.
        choices: closed choices; empty = free text.
        source: fills the autocomplete from what the bot knows ("bots", "symbols"); empty = none.
    """

    name: str
    about: str
    choices: tuple[str, ...] = ()
    source: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as checked by ourselves."""

    id: int
    name: str
    tier: Tier
    roles: tuple[int, ...] = ()

    @property
    def actor(self) -> str:
        """The name that commands and the audit carry; the id is what counts."""
        return f"discord:{self.id}"


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of a command.

    Attributes:
        id: the interaction's id; commands to the farm derive their ids from it.
        show: replaces what the caller sees while the command goes on.
    """

    path: str
    id: str
    who: Caller
    options: Mapping[str, str]
    desk: Desk
    show: Show

    def voice(self, event: str, facts: Mapping[str, str]) -> str:
        """Say facts in the farm's voice, the same words for the same call."""
        return speak(self.desk.persona, event, facts, seed=int(self.id))


def speak(persona: PersonaEntry, event: str, facts: Mapping[str, str], *, seed: int) -> str:
    """Return a persona's sentence for an event."""
    return voice(event, facts, persona, seed)


def persona_named(name: str) -> PersonaEntry:
    """Find a voice by name.

    Raises:
        ConfigError: there is none of this name.
    """
    personas.discover()
    return personas.get(name)
