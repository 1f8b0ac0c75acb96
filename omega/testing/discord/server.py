"""The local Discord as a whole: one HTTP server on loopback with REST, gateway and files.

Used by tests and by the process form.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from omega.testing.discord import control, rest
from omega.testing.discord.faults import Faults
from omega.testing.discord.gateway import Gateway
from omega.testing.discord.humans import Humans
from omega.testing.discord.interactions import Interaction
from omega.testing.discord.log import Log
from omega.testing.discord.messages import Message
from omega.testing.discord.state import State
from omega.testing.discord.world import World


class LocalDiscord:
    """A Discord of one's own, started with `async with LocalDiscord(world) as discord`.

    Args:
        world: what exists before a bot connects; None is `World.default()`.
        port: 0 takes a free one.
        heartbeat_s: the interval that HELLO tells clients.
        answer_within_s: how long a human looks at "is thinking" before the act fails.
        strict: leaving the block raises when a bot called a route that nobody serves.
        transcript: where to write calls and frames when the block is left by an exception.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        heartbeat_s: float = 41.25,
        answer_within_s: float = 60.0,
        strict: bool = True,
        transcript: Path | None = None,
    ) -> None:
        self.state = State.of(world or World.default(), heartbeat_s)
        self.humans = Humans(self.state, answer_within_s=answer_within_s)
        self._host = host
        self._port = port
        self._strict = strict
        self._transcript = transcript
        self._runner: web.AppRunner | None = None

    @property
    def world(self) -> World:
        """Guild, roles, channels and members."""
        return self.state.world

    @property
    def gateway(self) -> Gateway:
        """Sessions and the ways to break them."""
        return self.state.gateway

    @property
    def faults(self) -> Faults:
        """Faults to order."""
        return self.state.faults

    @property
    def log(self) -> Log:
        """REST calls and gateway frames so far."""
        return self.state.log

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://{self._host}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that aim a bot at this Discord."""
        return {
            "DISCORD_API_BASE": f"{self.url}{rest.API}",
            "DISCORD_GATEWAY_URL": f"ws://{self._host}:{self._port}/gateway",
            "DISCORD_TOKEN": self.world.token,
        }

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        app = rest.build(self.state, control.routes(self))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self.stop()
            raise
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every socket and stop listening."""
        try:
            await self.gateway.drop(1001)
        finally:
            if self._runner is not None:
                runner, self._runner = self._runner, None
                await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; a route that nobody serves is an error of the test."""
        await self.stop()
        if error is not None and self._transcript is not None:
            self.log.write(self._transcript)
        if error is None and self._strict and self.log.unknown_routes:
            raise AssertionError(f"the bot called unknown routes: {', '.join(self.log.unknown_routes)}")

    async def slash(self, user: str, channel: str, path: str, **options: Any) -> Interaction:
        """Let a member send a slash command; see `Humans.slash`."""
        return await self.humans.slash(user, channel, path, options=options)

    async def autocomplete(
        self, user: str, channel: str, path: str, focused: str, typed: str, **options: Any
    ) -> Interaction:
        """Let a member type into an option; see `Humans.autocomplete`."""
        return await self.humans.autocomplete(user, channel, path, focused, typed, options=options)

    async def click(self, user: str, message: Message, button: str, *, values: list[str] | None = None) -> Interaction:
        """Let a member press a button or choose in a select; see `Humans.click`."""
        return await self.humans.click(user, message, button, values=values)

    async def submit_modal(self, user: str, asked: Interaction, values: Mapping[str, str]) -> Interaction:
        """Let a member fill a dialog; see `Humans.submit_modal`."""
        return await self.humans.submit_modal(user, asked, values)

    def posts(self, channel: str) -> list[Message]:
        """List what stands in a channel for everybody, oldest first."""
        number = self.state.channel_id(channel)
        return [m for m in self.state.messages if m.channel_id == number and not m.ephemeral and not m.deleted]

    async def wait_post(
        self, channel: str, wanted: Callable[[Message], bool] = lambda _: True, within_s: float = 60.0
    ) -> Message:
        """Wait for a public message in a channel and return it.

        Raises:
            TimeoutError: it did not come.
        """
        found: list[Message] = []

        def come() -> bool:
            found[:] = [message for message in self.posts(channel) if wanted(message)]
            return bool(found)

        await self.state.bell.until(come, within_s)
        return found[-1]

    async def wait_commands(self, within_s: float = 60.0) -> None:
        """Wait until a bot is connected and has registered commands.

        Raises:
            TimeoutError: it did not.
        """
        scopes = self.state.commands.scopes
        await self.state.bell.until(lambda: self.gateway.connected and any(scopes.values()), within_s)
