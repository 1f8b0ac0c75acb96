"""`RedisClient` of the class diagrams: keys and channels of one server. Services use the bus; tools may use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from redis.exceptions import RedisError

from omega.bus.codec import encode
from omega.bus.endpoint import Endpoint, Patience, client
from omega.bus.envelope import Envelope
from omega.bus.messages import BY_CLASS, MessageClass
from omega.bus.port import Received, SendResult
from omega.bus.redis import RedisBus
from omega.errors import ConfigError, EnvironmentFault, OmegaError, TransientError

_TOP_PORT = 65_535
_SCAN = 500


class RedisClient:
    """One server by host, port and database.

    Attributes:
        host: the server's name.
        port: 1 to 65535.
        db: the number of the database.
        password: never shown; empty when the server wants none.
        client: the pooled redis-py client, None before `connect()`.
        pubsub: the feed of the topics subscribed to, None before `subscribe()`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 6379,
        db: int = 0,
        password: str = "",
        *,
        env: str = "dev",
        source: str = "redis-client",
        patience: Patience | None = None,
    ) -> None:
        if not 1 <= port <= _TOP_PORT:
            raise ConfigError(f"redis port {port} is out of range: write 1 to {_TOP_PORT}")
        if db < 0:
            raise ConfigError(f"redis db {db} is negative: write 0 or more")
        self.host, self.port, self.db, self.password = host, port, db, password
        self.pubsub: AsyncIterator[Received] | None = None
        self._endpoint = Endpoint(host=host, port=port, path="", db=db, username="", password=password)
        self._patience = patience or Patience()
        self._bus = RedisBus(self._endpoint, env=env, source=source, patience=self._patience)
        self._client: Any = None
        self._feed: AbstractAsyncContextManager[AsyncIterator[Received]] | None = None
        self._patterns: list[str] = []
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"RedisClient({self._endpoint.shown})"

    @property
    def client(self) -> Any:
        """The pooled redis-py client; None before `connect()`."""
        return self._client

    async def connect(self) -> None:
        """Connect within a bound; a second call does nothing.

        Raises:
            EnvironmentFault: the server does not answer, or refuses the login or the database.
        """
        async with self._lock:
            if self._client is None:
                await self._bus.start()
                self._client = client(self._endpoint, self._patience)

    async def disconnect(self) -> None:
        """Close connections and subscriptions; nothing stays behind."""
        async with contextlib.AsyncExitStack() as closing:
            if self._client is not None:
                closing.push_async_callback(self._bus.close)
                closing.push_async_callback(self._client.aclose)
            if self._feed is not None:
                closing.push_async_exit(self._feed)
            self._client = self._feed = self.pubsub = None
            self._patterns.clear()

    async def get(self, key: str) -> str | None:
        """Return the value, None when there is none.

        Raises:
            TransientError: the server does not answer; that is no absence.
        """
        raw = await self._run("get", key)
        return None if raw is None else raw.decode()

    async def set(self, key: str, value: str, *, ttl_s: float = 0, only_if_absent: bool = False) -> bool:
        """Keep a value, for `ttl_s` seconds if given; false when it was only wanted if absent and is there."""
        return bool(await self._run("set", key, value, px=int(ttl_s * 1_000) or None, nx=only_if_absent))

    async def delete(self, *keys: str) -> int:
        """Delete keys in one step and return how many there were."""
        return int(await self._run("delete", *keys)) if keys else 0

    async def publish(self, channel: str, message: Envelope) -> int:
        """Publish an envelope and return how many received it; a record goes to its stream in the same step.

        Raises:
            TypeError: the message is no envelope.
        """
        if not isinstance(message, Envelope):
            raise TypeError(f"publish takes an Envelope, not {type(message).__name__}; build one with omega.bus")
        if BY_CLASS[type(message.data)].delivery is MessageClass.RECORD:
            counts = await self._run("pubsub_numsub", channel)
            result = await self._bus.send(message.data, corr=message.corr, cause=message.cause, message_id=message.id)
            return int(counts[0][1]) if result is SendResult.SENT else 0
        return int(await self._run("publish", channel, encode(message)))

    async def subscribe(self, channel: str) -> None:
        """Subscribe to a topic or a `*` pattern; returns after the server has confirmed it."""
        await self.connect()
        if channel in self._patterns:
            return
        feed = self._bus.signals(*self._patterns, channel)
        self.pubsub = await feed.__aenter__()
        self._patterns.append(channel)
        before, self._feed = self._feed, feed
        if before is not None:
            await before.__aexit__(None, None, None)

    async def listen(self) -> AsyncIterator[Received]:
        """Yield what arrives, through restarts of the server.

        Raises:
            ConfigError: nothing is subscribed.
        """
        if self.pubsub is None:
            raise ConfigError("listen() has nothing to listen to: call subscribe(channel) first")
        while self.pubsub is not None:
            with contextlib.suppress(StopAsyncIteration):
                yield await anext(self.pubsub)

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return the names that match, found with SCAN: the server is never blocked by KEYS."""
        await self.connect()
        try:
            return sorted([key.decode() async for key in self._client.scan_iter(match=pattern, count=_SCAN)])
        except (RedisError, OSError) as error:
            raise self._outage(error) from error

    async def _run(self, command: str, *words: Any, **options: Any) -> Any:
        try:
            await self.connect()
            return await getattr(self._client, command)(*words, **options)
        except EnvironmentFault as error:
            raise TransientError(str(error)) from error
        except (RedisError, OSError) as error:
            raise self._outage(error) from error

    def _outage(self, error: Exception) -> OmegaError:
        return TransientError(f"{self._endpoint.shown} does not answer: {error}; the outcome is unknown, try again")
