"""The state that every part of the local Discord shares. Built by the server."""

from dataclasses import dataclass, field
from typing import Any

from omega.testing.discord.bell import Bell
from omega.testing.discord.clock import WorldClock
from omega.testing.discord.commands import CommandBook
from omega.testing.discord.faults import Faults
from omega.testing.discord.gateway import Gateway
from omega.testing.discord.interactions import InteractionBook
from omega.testing.discord.log import Log
from omega.testing.discord.messages import MessageStore
from omega.testing.discord.refusals import unknown
from omega.testing.discord.world import World


@dataclass(slots=True)
class Webhook:
    """A channel's webhook."""

    id: str
    token: str
    channel_id: str
    name: str
    application_id: str

    def payload(self) -> dict[str, Any]:
        """Return the webhook object."""
        return {
            "id": self.id,
            "type": 1,
            "token": self.token,
            "channel_id": self.channel_id,
            "name": self.name,
            "avatar": None,
            "application_id": self.application_id,
        }


@dataclass(slots=True)
class State:
    """World, clock, log, faults and everything that came into being since the start."""

    world: World
    clock: WorldClock
    bell: Bell
    log: Log
    faults: Faults
    gateway: Gateway
    commands: CommandBook
    messages: MessageStore
    interactions: InteractionBook
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    dms: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    left_guilds: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, world: World, heartbeat_s: float) -> "State":
        """Put a fresh state around a world."""
        clock, bell, faults = WorldClock(), Bell(), Faults()
        log = Log(clock)
        return cls(
            world=world,
            clock=clock,
            bell=bell,
            log=log,
            faults=faults,
            gateway=Gateway(world, log, faults, bell, heartbeat_s=heartbeat_s),
            commands=CommandBook(clock, bell, world.application_id),
            messages=MessageStore(clock, bell),
            interactions=InteractionBook(clock),
        )

    def channel_id(self, key: str) -> str:
        """Return the id of a guild channel or a DM, or refuse with 10003."""
        if key in self.dms:
            return key
        try:
            return self.world.channel(key).id
        except KeyError:
            raise unknown("Channel", 10003) from None
