"""What people tell a bot: pause, resume, drain, flatten, stop, calm, stir. Each is folded, carried out and answered.

Called by the runner's service for every command on the bot's topic and on the farm's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from omega.bus import FARM, RISK_REDUCING, Bus, Command, CommandResult, Envelope, Verb
from omega.engine.psychology import EVENTS
from omega.errors import Denied
from omega.telemetry import get_logger
from services.runner.seen import Calmed, Done, Flattened, Seen, Stirred, Told
from services.runner.state import Order

LOG = get_logger("services.runner")

_STANDING: Final = {
    Verb.PAUSE: (Order.PAUSE, "no entries; exits and stops go on"),
    Verb.HALT: (Order.PAUSE, "no entries; exits and stops go on"),
    Verb.RESUME: (Order.TRADE, "entries are allowed again"),
    Verb.DRAIN: (Order.DRAIN, "no entries; ends when the strategy has left its position"),
}
"""The verbs that are a standing order, and what they come to."""
_MINDS: Final = frozenset({Verb.CALM, Verb.STIR})
"""The verbs that speak to the trader's state of mind."""
_GATEWAYS: Final = frozenset({Verb.RELEASE, Verb.ADOPT})
"""The verbs that the gateway alone carries out."""


class Commands:
    """Carries out commands for one bot.

    Attributes:
        fold: lets the bot see something and returns what it does about it.
        act: saves the state and sends what a command has brought about.
        stop: asks for the end of the process.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        bot: str,
        instance: str,
        fold: Callable[[Seen], Done],
        act: Callable[[Done, str], Awaitable[None]],
        stop: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._bot = bot
        self._instance = instance
        self.fold = fold
        self.act = act
        self.stop = stop

    async def take(self, command: Command, envelope: Envelope, *, holds: bool, minds: bool) -> bool:
        """Carry out one command; True when the bot is told something new.

        `holds` tells whether a position is open, `minds` whether the bot has a state of mind.
        """
        if envelope.deadline_ns and time.time_ns() > envelope.deadline_ns and command.verb not in RISK_REDUCING:
            await self._answer(command, "refused", "the command came too late")
            return False
        if command.verb in _GATEWAYS:
            return False
        try:
            detail = await self._carry_out(command, holds=holds, minds=minds)
        except Denied as error:
            await self._answer(command, "refused", str(error))
            return False
        LOG.info("command.applied", verb=command.verb, actor=command.actor, reason=command.reason)
        await self._answer(command, "applied", detail)
        return True

    async def _carry_out(self, command: Command, *, holds: bool, minds: bool) -> str:
        if command.verb in _STANDING:
            order, detail = _STANDING[command.verb]
            await self.act(self.fold(Told(order)), command.command_id)
            return detail
        if command.verb is Verb.FLATTEN:
            return await self._flatten(command, holds=holds)
        if command.verb in _MINDS:
            return await self._mind(command, minds=minds)
        self.stop("a person's command")
        return "the process ends; stops stay at the venue"

    async def _mind(self, command: Command, *, minds: bool) -> str:
        """Calm or stir the trader's mind.

        Raises:
            Denied: there is no mind, or no such event; nothing has changed.
        """
        if not minds and command.target == FARM:
            return "psychology is off here"
        if not minds:
            raise Denied(f"psychology is off: there is no mind to {command.verb}", rule="psychology")
        if command.verb is Verb.CALM:
            await self.act(self.fold(Calmed()), command.command_id)
            return "the state of mind begins anew"
        event = str(command.params.get("event", ""))
        if event not in EVENTS:
            raise Denied(f"there is no event {event!r}; known are {', '.join(EVENTS)}", rule="event")
        await self.act(self.fold(Stirred(event)), command.command_id)
        return f"the trader has heard of {event}"

    async def _flatten(self, command: Command, *, holds: bool) -> str:
        if command.target == FARM:
            await self.act(self.fold(Told(Order.PAUSE)), command.command_id)
            return "paused; the gateway closes the account's positions" if holds else "paused"
        done = self.fold(Flattened(command.command_id, command.actor))
        await self.act(done, command.command_id)
        return "paused; closing the position" if done.intents else "paused"

    async def _answer(self, command: Command, stage: str, detail: str) -> None:
        result = CommandResult(command.command_id, self._instance, self._bot, stage, detail)
        try:
            await self._bus.send(result, cause=command.command_id)
        except Denied as error:
            LOG.warning("command.unanswered", error=str(error))
