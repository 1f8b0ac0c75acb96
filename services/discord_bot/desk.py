"""What all commands share: the view, the settings, the bus, and the one way to give the farm an order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from omega.bus import FARM, RISK_REDUCING, Bus, BusState, Command, CommandResult, SendResult, Verb
from omega.config import Settings
from omega.plugins import PersonaEntry
from services.discord_bot.ask import Ask, persona_named
from services.discord_bot.view import FarmView

EXPIRES_NS: Final = 10_000_000_000
"""Orders that add risk are worthless after this time."""
GATEWAY: Final = "gateway"


@dataclass(slots=True)
class Desk:
    """The state behind every answer.

    Attributes:
        config: returns the settings in force.
        mentions: command mentions by path, once Discord has told their ids.
    """

    view: FarmView
    config: Callable[[], Settings]
    bus: Bus
    mentions: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.config()

    @property
    def persona(self) -> PersonaEntry:
        """The farm's voice."""
        return persona_named(self.settings.discord_bot.persona)

    @property
    def now_ns(self) -> int:
        """The present instant."""
        return self.view.clock()

    def mention(self, path: str) -> str:
        """Return a clickable mention of a command, or its plain name before the ids are known."""
        return self.mentions.get(path, f"/{path}")

    def banner(self) -> str:
        """Return the warning that stands over answers while the bus is away, else nothing."""
        if self.bus.state() is BusState.CONNECTED:
            return ""
        return "⚠ The message bus does not answer: these are the last known values, changes are off."

    def bots(self) -> list[str]:
        """Return every bot that is configured to run or is heard of."""
        configured = {name for name, bot in self.settings.bots.items() if bot.enabled}
        return sorted(configured | set(self.view.bots))

    async def order(self, ask: Ask, verb: Verb, target: str, reason: str) -> tuple[str, SendResult]:
        """Send one order to the farm; the same call gives the same order once, however often it is repeated.

        Returns:
            The order's id and what became of it.

        Raises:
            Denied: the outbox is full because the bus is away.
        """
        command = Command(f"{ask.id}-{verb}", verb, target, ask.who.actor, reason)
        deadline = 0 if verb in RISK_REDUCING else self.now_ns + EXPIRES_NS
        sent = await self.bus.send(
            command, corr=ask.id, deadline_ns=deadline, message_id=f"command:{command.command_id}"
        )
        return command.command_id, sent

    def expected(self, target: str) -> list[str]:
        """Return who has to answer an order: every bot and the gateway for the farm, else the bot alone."""
        return [*self.bots(), GATEWAY] if target == FARM else [target]

    def answers(self, command_id: str, target: str) -> dict[str, CommandResult]:
        """Return the answers so far by who gave them; what is no bot is the gateway."""
        names = set(self.bots())
        found = self.view.results(command_id)
        return {(name if target != FARM or name in names else GATEWAY): result for name, result in found.items()}
