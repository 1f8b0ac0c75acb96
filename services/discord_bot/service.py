"""The service around the Discord session.

One lease, one connection, a view that is fed from the bus, notices that go out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from typing import ClassVar, Final

import discord

from omega.bus import Bus, BusState, Lease
from omega.config import Settings
from omega.errors import ConfigError, Fenced, InvariantBroken, TransientError
from omega.plugins import personas
from omega.resilience import ended, finished
from omega.runtime import BaseService
from services.discord_bot.aim import aim
from services.discord_bot.card import Card, embed
from services.discord_bot.client import FarmClient
from services.discord_bot.desk import Desk
from services.discord_bot.notices import Notices
from services.discord_bot.view import FarmView

LEASE: Final = "discord"
_BACKFILL: Final = 5_000
"""Events from before the start that are read to know the open books."""
_WATCH_S: Final = 1.0
_RETAKE_S: Final = 5.0
_REFUSED_TOKEN: Final = 78
"""Exit status for a token that Discord refuses: starting again at once would only burn the daily logins."""
_SERVER_ERROR, _TOO_MANY = 500, 429


class DiscordBotService(BaseService):
    """The farm's bot in one guild."""

    name: ClassVar[str] = "discord_bot"

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        _check(settings)
        personas.discover()
        personas.get(settings.discord_bot.persona)
        self.view = FarmView(time.time_ns)
        self.desk = Desk(self.view, lambda: self.settings, bus)
        self.client: FarmClient | None = None
        self._lease: Lease | None = None
        self._loaded = asyncio.Event()
        self._notices = Notices(self.desk, self._post, self.metrics)

    async def on_initialize(self) -> None:
        """Aim the library before anything of it runs; at DEBUG it would log tokens and payloads, so it never does."""
        logging.getLogger("discord").setLevel(logging.INFO)
        aim(self.settings)

    async def on_start(self) -> None:
        """Feed the view, then connect."""
        self.spawn("signals", self._feed_signals)
        self.spawn("events", self._feed_events)
        self.spawn("session", self._session)
        self.spawn("notices", self._send_notices)

    async def on_stop(self) -> None:
        """Give the lease back, so that a successor need not wait."""
        if self._lease is not None:
            await self._lease.release()

    async def on_config(self, old: Settings, new: Settings) -> None:
        """Refuse settings that a running bot could not live with."""
        del old
        _check(new)
        personas.get(new.discord_bot.persona)

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the session is up and the guild's roles are known."""
        if self._lease is None:
            return False, "another process holds the one gateway session"
        if self.client is None or not self.client.loaded:
            return False, "the Discord session is not ready"
        return True, ""

    def details(self) -> Mapping[str, str | int | float | bool]:
        """Say in the heartbeat whether Discord is reached."""
        return {"connected": self.client is not None and self.client.loaded}

    def update_metrics(self) -> None:
        """Export whether the session is up."""
        super().update_metrics()
        self.metrics.gauge("discord_connected").set(self.client is not None and self.client.loaded)

    # ---- the session

    async def _session(self) -> None:
        """Hold one gateway session: two of them would carry out every command twice."""
        if self._lease is None or not self._lease.held:
            self._lease = await self.bus.lease(LEASE, ttl_s=self.settings.redis.lease_ttl_s)
            self.logger.info("lease.taken", lease=LEASE, epoch=self._lease.epoch)
        client = FarmClient(self.desk, self.metrics, self._loaded)
        self.client = client
        connection = asyncio.create_task(client.start(self.settings.discord_bot.token.get_secret_value()))
        guard = asyncio.create_task(self._guard_lease())
        try:
            done, _ = await asyncio.wait({connection, guard}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _raise_from(task)
        finally:
            # A session that failed is being closed when the service's end may cancel this task.
            await finished(self._leave(client, (connection, guard)))

    async def _leave(self, client: FarmClient, tasks: tuple[asyncio.Task[None], ...]) -> None:
        # The reader must have let go of the socket first: otherwise discord.py closes it with 4000 instead of 1000.
        await ended(tasks)
        await client.front.close()
        await client.close()
        self.client = None
        self._loaded.clear()

    async def _guard_lease(self) -> None:
        """End the session when somebody else may have the lease; a bus that is away takes it from nobody."""
        while True:
            await asyncio.sleep(_WATCH_S)
            lease = self._lease
            if lease is None or lease.held or self.bus.state() is not BusState.CONNECTED:
                continue
            try:
                async with asyncio.timeout(_RETAKE_S):
                    self._lease = await self.bus.lease(LEASE, ttl_s=self.settings.redis.lease_ttl_s)
            except TimeoutError:
                raise Fenced(f"the lease {LEASE} is in other hands: this session ends; it is started anew") from None

    # ---- feeding the view

    async def _feed_signals(self) -> None:
        topics = self.bus.topics
        patterns = (
            topics.heartbeat("*", "*"),
            topics.bot_status("*"),
            topics.account_status("*", "*"),
            topics.reading("*"),
        )
        async with self.bus.signals(*patterns) as stream:
            async for received in stream:
                self.view.learn(received.envelope)

    async def _feed_events(self) -> None:
        topics = self.bus.topics
        followed = (topics.ledger(), topics.decisions(), topics.control_results())
        since: dict[str, str] = {}
        for received in await self.bus.history(topics.ledger(), count=_BACKFILL):
            self.view.learn(received.envelope)
            since[topics.ledger()] = received.entry_id
        async with self.bus.follow(*followed, since=since) as stream:
            async for received in stream:
                self.view.learn(received.envelope)

    # ---- notices

    async def _send_notices(self) -> None:
        await self._loaded.wait()
        await self._notices.run()

    async def _post(self, channel_id: str, card: Card, key: str) -> None:
        """Post a card; a repeat with the same key within minutes is the same message.

        Raises:
            TransientError: Discord does not answer; the notice stays in the stream.
        """
        if self.client is None:
            raise TransientError("the Discord session is down; the notice waits in the stream")
        channel = self.client.get_partial_messageable(int(channel_id))
        nonce = hashlib.sha256(key.encode()).hexdigest()[:24]
        try:
            await channel.send(embed=embed(card), nonce=nonce)
        except discord.HTTPException as error:
            if error.status >= _SERVER_ERROR or error.status == _TOO_MANY:
                raise TransientError(f"Discord answered {error.status} to a notice; it waits in the stream") from error
            self.logger.warning(
                "notice.lost", channel=channel_id, status=error.status, code=error.code, title=card.title
            )
            self.metrics.counter("discord_notices_total").labels(kind="any", outcome="lost").inc()
        except (OSError, discord.RateLimited) as error:
            raise TransientError(f"Discord is not reached ({error}); the notice waits in the stream") from error


def _check(settings: Settings) -> None:
    """Refuse to start without what the bot cannot do without."""
    bot = settings.discord_bot
    if not bot.token.get_secret_value():
        raise ConfigError(
            "discord_bot.token is empty: put it into the secret file discord_bot__token (OMEGA_SECRETS_DIR)"
        )
    if not bot.guild_id.isdigit():
        raise ConfigError(f"discord_bot.guild_id is {bot.guild_id!r}: set it to the id of the one guild to serve")
    for what, keys in (("tiers", bot.tiers), ("elevated_users", bot.elevated_users)):
        for key in keys:
            if not key.isdigit():
                raise ConfigError(f"discord_bot.{what} holds {key!r}: use ids, never names")


def _raise_from(task: asyncio.Task[None]) -> None:
    """Let a session's end be an error of our tree, so that the supervisor knows what to do."""
    try:
        task.result()
    except (discord.LoginFailure, discord.PrivilegedIntentsRequired) as error:
        refused = ConfigError(
            f"Discord refuses the bot: {error}; reset the token in the portal and replace the secret file"
        )
        refused.exit_code = _REFUSED_TOKEN
        raise refused from error
    except discord.ConnectionClosed as error:
        if error.code == 4004:  # noqa: PLR2004 - Discord's code for a token that is not accepted
            refused = ConfigError(
                "Discord closed the session with 4004: the token is no longer valid; replace the secret file"
            )
            refused.exit_code = _REFUSED_TOKEN
            raise refused from error
        raise TransientError(f"the Discord session was closed with {error.code}") from error
    except discord.app_commands.CommandSyncFailure as error:
        raise InvariantBroken(
            f"Discord refuses the command tree: {error}; correct the command that it names"
        ) from error
    except (discord.Forbidden, discord.NotFound) as error:
        raise ConfigError(
            f"Discord denies the bot its guild: {error}; check discord_bot.guild_id and that the bot was invited "
            "with the scopes bot and applications.commands"
        ) from error
    except (discord.HTTPException, discord.GatewayNotFound, OSError) as error:
        raise TransientError(f"Discord is not reached: {error}") from error
    raise TransientError("the Discord session ended; it is started anew")
