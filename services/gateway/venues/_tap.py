"""An unmodified ccxt.pro class with two ears: what arrives on its sockets, and when a request leaves. Used by `_ccxt`.

One push that cannot be parsed would silently end ccxt's receive loop; here the socket is closed instead, and the next
watch dials anew. Every socket counts its data pushes since it opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from ccxt.base.errors import BaseError, ExchangeClosedByUser, NetworkError

from omega.telemetry import get_logger
from services.gateway.venues._lean import exchange_class

Json = dict[str, Any]

HANDED: ContextVar[Callable[[int], None] | None] = ContextVar("handed", default=None)
"""Set it around a call: it hears the instants at which the call's requests are handed to the HTTP client."""

HOLD = "hold:"
"""Begins the names of the futures that only wait for a socket to fail."""

UNPARSABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, BaseError)
"""What reading a malformed push can raise."""

WATCHED: ContextVar[list[str] | None] = ContextVar("watched", default=None)
"""Set it to a list around a watch: it gets the URLs of the sockets that the watch uses, the last being its own."""


class Ear(Protocol):
    """Who hears the sockets of a client."""

    def channel(self, message: Json) -> str:
        """Return the channel of a data push, empty for everything else."""
        ...

    def private(self, channel: str) -> bool:
        """Tell whether a channel tells of the account."""
        ...

    def heard(self, url: str, message: Json, number: int) -> None:
        """Take a message; `number` counts the pushes of its kind (public, private) on this socket, 0 for no push."""
        ...

    def connected_to(self, url: str) -> None:
        """Take note that a socket is open."""
        ...


_log = get_logger(__name__)

_CLOSED = "{}: the client is closed; nothing was sent"


class Counts:
    """What a client's sockets have seen: pushes, the last message, malformed frames."""

    def __init__(self) -> None:
        self.frames: dict[tuple[str, bool], int] = {}
        self.last_s: dict[str, float] = {}
        self.malformed = 0
        self.closed = self.muted = False


def tapped(exchange_id: str, config: Json, ear: Ear) -> Any:  # noqa: C901 - a small class over a base that is found
    """Return a ccxt.pro client of an exchange whose messages also go to `ear`; its counts hang at `counts`.

    Raises:
        ConfigError: ccxt knows no such exchange.
    """
    base: Any = exchange_class(exchange_id)
    counts = Counts()

    class Tapped(base):  # type: ignore[misc]  # ccxt ships no types
        """ccxt's class with ears."""

        session: Any

        def client(self, url: str) -> Any:
            fresh = url not in self.clients
            client = super().client(url)
            if fresh:
                counts.frames[url, True] = counts.frames[url, False] = 0
                _guard(client, counts)
            return client

        def handle_message(self, client: Any, message: Any) -> None:
            if not isinstance(message, dict):
                super().handle_message(client, message)
                return
            number, channel = 0, ear.channel(message)
            if channel:
                kind = (client.url, ear.private(channel))
                number = counts.frames[kind] = counts.frames.get(kind, 0) + 1
            if not number or _awaited(client, channel):
                super().handle_message(client, message)
            ear.heard(client.url, message, number)

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            ear.connected_to(client.url)

        def watch(self, url: str, *args: Any, **more: Any) -> Any:
            _note(url)
            return super().watch(url, *args, **more)

        def watch_multiple(self, url: str, *args: Any, **more: Any) -> Any:
            _note(url)
            return super().watch_multiple(url, *args, **more)

        async def throttle(self, *_: Any, **__: Any) -> None:
            """Wait for nothing: the gateway's lanes have given the turn. Socket messages keep ccxt's own pace."""

        def open(self, *args: Any, **more: Any) -> None:
            """Open the session; a client that is closed for good stays so, also for a watch that comes late."""
            if counts.closed:
                raise ExchangeClosedByUser(_CLOSED.format(exchange_id))
            super().open(*args, **more)

        async def close(self) -> None:
            """Close for good: ccxt would open a session anew for whoever calls later, and nobody would close that.

            A goodbye that takes too long is cut by the service's end; the session is closed then too.
            """
            counts.closed = True
            try:
                await super().close()
            finally:
                if self.session is not None:
                    await self.session.close()
                    self.session = None

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if counts.closed or counts.muted:
                raise ExchangeClosedByUser(_CLOSED.format(exchange_id))
            handed = HANDED.get()
            if handed is not None:
                handed(time.time_ns())
            return await super().fetch(url, method, headers, body)

    client = Tapped(config)
    client.counts = counts
    return client


@contextmanager
def muted(exchange: Any) -> Iterator[None]:
    """Let a client form requests and send none of them while the block runs."""
    exchange.counts.muted = True
    try:
        yield
    finally:
        exchange.counts.muted = False


def drop(exchange: Any, url: str, reason: str) -> None:
    """Close a socket so that every watch on it fails now and dials anew."""
    client = exchange.clients.pop(url, None)
    if client is None:
        return
    error = NetworkError(reason)
    client.error = error
    client.reject(error)
    exchange.asyncio_loop.create_task(client.aiohttp_close())


def _note(url: str) -> None:
    watched = WATCHED.get()
    if watched is not None:
        watched.append(url)


def _awaited(client: Any, channel: str) -> bool:
    """Tell whether ccxt must read a data push: somebody awaits its watch, or it is a change to a book that ccxt keeps.

    Everything else would fill caches that nobody reads, at several times the cost of our own reading.
    """
    if "book" in channel.lower() or "depth" in channel.lower():
        return True
    return any(not (name.startswith(HOLD) or future.done()) for name, future in client.futures.items())


def _guard(client: Any, counts: Counts) -> None:
    plain = client.handle_text_or_binary_message

    def guarded(data: Any) -> None:
        counts.last_s[client.url] = time.monotonic()
        try:
            plain(data)
        except UNPARSABLE as error:
            counts.malformed += 1
            _log.warning("frame.malformed", url=client.url, error=repr(error)[:200], size=len(data))
            client.on_error(NetworkError("a malformed frame came; the socket is opened anew"))

    client.handle_text_or_binary_message = guarded
