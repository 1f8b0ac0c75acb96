"""An unmodified ccxt.pro class with two ears: what arrives on its sockets, and when a request leaves. Used by `_ccxt`.

One push that cannot be parsed would silently end ccxt's receive loop; here the socket is closed instead, and the next
watch dials anew. Every socket counts its data pushes since it opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import structlog
from ccxt.base.errors import BaseError, NetworkError

from services.gateway.venues._lean import exchange_class

Json = dict[str, Any]

HANDED: ContextVar[Callable[[int], None] | None] = ContextVar("handed", default=None)
"""Set it around a call: it hears the instants at which the call's requests are handed to the HTTP client."""

HOLD = "hold:"
"""Begins the names of the futures that only wait for a socket to fail."""

UNPARSABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, BaseError)
"""What reading a malformed push can raise."""

Ear = Callable[[str, Json, int], None]
"""Called with (socket's URL, message, number of the data push on this socket; 0 for an acknowledgement)."""

_log = structlog.get_logger(__name__)


class Counts:
    """What a client's sockets have seen: pushes, the last message, malformed frames."""

    def __init__(self) -> None:
        self.frames: dict[str, int] = {}
        self.last_s: dict[str, float] = {}
        self.malformed = 0


def tapped(exchange_id: str, config: Json, ear: Ear) -> Any:
    """Return a ccxt.pro client of an exchange whose messages also go to `ear`; its counts hang at `counts`.

    Raises:
        ConfigError: ccxt knows no such exchange.
    """
    base: Any = exchange_class(exchange_id)
    counts = Counts()

    class Tapped(base):  # type: ignore[misc]  # ccxt ships no types
        """ccxt's class with ears."""

        def client(self, url: str) -> Any:
            fresh = url not in self.clients
            client = super().client(url)
            if fresh:
                counts.frames[url] = 0
                _guard(client, counts)
            return client

        def handle_message(self, client: Any, message: Any) -> None:
            if not isinstance(message, dict):
                super().handle_message(client, message)
                return
            number = 0
            if "data" in message and "arg" in message:
                number = counts.frames[client.url] = counts.frames.get(client.url, 0) + 1
            if not number or _awaited(client, message):
                super().handle_message(client, message)
            ear(client.url, message, number)

        async def throttle(self, *_: Any, **__: Any) -> None:
            """Wait for nothing: the gateway's lanes have given the turn. Socket messages keep ccxt's own pace."""

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            handed = HANDED.get()
            if handed is not None:
                handed(time.time_ns())
            return await super().fetch(url, method, headers, body)

    client = Tapped(config)
    client.counts = counts
    return client


def drop(exchange: Any, url: str, reason: str) -> None:
    """Close a socket so that every watch on it fails now and dials anew."""
    client = exchange.clients.pop(url, None)
    if client is None:
        return
    error = NetworkError(reason)
    client.error = error
    client.reject(error)
    exchange.asyncio_loop.create_task(client.aiohttp_close())


def _awaited(client: Any, message: Json) -> bool:
    """Tell whether ccxt must read a data push: somebody awaits its watch, or it is a change to a book that ccxt keeps.

    Everything else would fill caches that nobody reads, at several times the cost of our own reading.
    """
    if "books" in str(message["arg"].get("channel", "")):
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
