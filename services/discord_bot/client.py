"""The discord.py client: guilds only, one tree, synced when it changed, closed with 1000.

Started by the service.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import Any

import discord

from omega.errors import ConfigError, OmegaError
from omega.telemetry import Metrics, get_logger
from services.discord_bot.buttons import ConfirmButton
from services.discord_bot.desk import Desk
from services.discord_bot.front import Front
from services.discord_bot.tree import FarmTree

LOG = get_logger("services.discord_bot")


discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody speaks here; the warnings would alarm


class FarmClient(discord.Client):
    """One gateway session of the farm's bot.

    Attributes:
        front: where interactions go.
        tree: the commands.
    """

    def __init__(self, desk: Desk, metrics: Metrics, ready: asyncio.Event) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            max_ratelimit_timeout=30.0,
            guild_ready_timeout=0.2,
        )
        self.desk = desk
        self._told_ready = ready
        self.front = Front(desk, metrics)
        self.tree = FarmTree(self)
        self.home = discord.Object(int(desk.settings.discord_bot.guild_id))

    async def setup_hook(self) -> None:
        """Plant and sync the commands before the gateway is dialled."""
        if self.application is not None and self.application.interactions_endpoint_url:
            raise ConfigError(
                "the application has an interactions endpoint URL, so this bot hears nothing: remove it in the portal"
            )
        self.add_dynamic_items(ConfirmButton)
        self.tree.plant(self.home)
        await self._sync()

    async def _sync(self) -> None:
        """Send the tree only when it changed: Discord allows 200 creates a day."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands(guild=self.home)]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()
        key = self.desk.bus.topics.state("discord", "sync", str(self.application_id), str(self.home.id))
        same = await self._remembered(key) == digest
        known = await self.tree.fetch_commands(guild=self.home) if same else []
        if {command.name for command in known} != {entry["name"] for entry in payload}:
            known = await self.tree.sync(guild=self.home)
            await self._remember(key, digest)
        LOG.info("commands.synced", commands=len(payload), sent=not same, digest=digest[:12])
        for command in known:
            self._note_mentions(command)

    async def _remembered(self, key: str) -> str | None:
        try:
            return await self.desk.bus.get(key)
        except OmegaError as error:
            LOG.warning("sync.memory_unread", error=str(error))
            return None

    async def _remember(self, key: str, digest: str) -> None:
        try:
            await self.desk.bus.put(key, digest)
        except OmegaError as error:
            LOG.warning("sync.memory_unwritten", error=str(error))

    def _note_mentions(self, command: discord.app_commands.AppCommand) -> None:
        self.desk.mentions[command.name] = command.mention
        for option in command.options:
            if isinstance(option, discord.app_commands.AppCommandGroup):
                self.desk.mentions[f"{command.name} {option.name}"] = option.mention

    async def on_ready(self) -> None:
        """Show what the farm is about to drive."""
        LOG.info("session.ready", guilds=len(self.guilds))
        self._told_ready.set()
        await self.present()

    async def present(self) -> None:
        """Show the presence of a navigator: how many bots are on the road."""
        count = len(self.desk.bots())
        activity = discord.Activity(type=discord.ActivityType.watching, name=f"the road for {count} bots")
        await self.change_presence(activity=activity)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Leave a guild that is not the farm's."""
        if guild.id != self.home.id:
            LOG.warning("guild.left", guild=guild.id)
            await guild.leave()

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """Log what broke in an event handler; arguments stay out, they may hold a token."""
        del args, kwargs
        LOG.error("event.broken", listener=event_method, error=sys.exc_info()[1])

    @property
    def loaded(self) -> bool:
        """Tell whether the session is ready and the farm's guild, with its roles, is known."""
        guild = self.get_guild(self.home.id)
        return self.is_ready() and guild is not None and not guild.unavailable
