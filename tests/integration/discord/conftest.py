"""An unmodified discord.py client on a real socket against the local Discord."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import yarl

from omega.resilience import ended
from omega.testing.discord import LocalDiscord, World

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # discord.py imports audioop
    import discord
    from discord import app_commands
    from discord.gateway import DiscordWebSocket
    from discord.http import Route


class Client(discord.Client):
    """A client as plain as they come: one tree, synced to the guild in setup_hook."""

    def __init__(self, guild: str) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0.2, max_messages=None)
        self.tree = app_commands.CommandTree(self)
        self.guild_of_farm = discord.Object(int(guild))
        self.ready_count = 0

    async def setup_hook(self) -> None:
        if self.tree.get_commands(guild=self.guild_of_farm):
            await self.tree.sync(guild=self.guild_of_farm)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Skip the five seconds between two identifies."""

    async def on_ready(self) -> None:
        self.ready_count += 1


@pytest.fixture(name="aimed")
def aimed_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[[LocalDiscord], None]:
    def aim(local: LocalDiscord) -> None:
        monkeypatch.setattr(Route, "BASE", local.environment["DISCORD_API_BASE"])
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(local.environment["DISCORD_GATEWAY_URL"]))

    return aim


@pytest.fixture(name="local")
async def local_fixture(aimed: Callable[[LocalDiscord], None]) -> AsyncIterator[LocalDiscord]:
    async with LocalDiscord(World.default()) as local:
        aimed(local)
        yield local


@asynccontextmanager
async def running(client: Client, local: LocalDiscord) -> AsyncIterator[Client]:
    """Run a client until it is ready, close it at the end."""
    task = asyncio.create_task(client.start(local.world.token))
    async with asyncio.timeout(60):
        while not client.is_ready():
            if task.done():
                await task
            await asyncio.sleep(0.01)
    try:
        yield client
    finally:
        await ended([task])  # closing while the reader still waits makes discord.py send 4000 instead of 1000
        await client.close()


@pytest.fixture(name="connect")
def connect_fixture(local: LocalDiscord) -> Callable[[Callable[[Client], None]], AbstractAsyncContextManager[Client]]:
    def connect(build: Callable[[Client], None]) -> AbstractAsyncContextManager[Client]:
        client = Client(local.world.guild_id)
        build(client)
        return running(client, local)

    return connect
