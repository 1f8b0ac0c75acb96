"""The sockets of a venue: subscribed, watched, opened anew when they fail; ccxt never comes back by itself.

Mixed into the generic adapter. A stream is one watch of ccxt's; the socket it uses is learnt from ccxt as it dials.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from ccxt.base.errors import BaseError, NetworkError

from omega.errors import ConfigError, CorruptData
from omega.telemetry import get_logger
from services.gateway.classify import Refusals, raised_read
from services.gateway.venue import Listener, VenueOptions
from services.gateway.venues._tap import HOLD, WATCHED, Json, drop

Watch = Callable[[], Awaitable[object]]

WRONG = (*(TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError), BaseError)
"""What a call of ccxt can raise."""

_MS = 1_000_000

_log = get_logger(__name__)


class Streams(ABC):
    """The listening half of an adapter."""

    name: str = ""
    refusals: ClassVar[Refusals]
    private_channels: ClassVar[frozenset[str]] = frozenset()
    """The channels that tell of the account."""
    session: ClassVar[frozenset[str]] = frozenset()
    """What must be acknowledged before the private session counts as open; empty = every private channel."""

    def __init__(self, options: VenueOptions) -> None:
        self.options = options
        self._data: Any = None
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._acked: dict[str, str] = {}
        self._open = False
        self._last_push_s = 0.0
        self._venue_ns = 0

    # hooks ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def watches(self) -> Mapping[str, tuple[str, Watch]]:
        """Return every stream: name -> (`public` or `private`, call)."""

    @abstractmethod
    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse one public push and tell the listener."""

    @abstractmethod
    def hear_private(self, message: Json, number: int) -> None:
        """Parse one private push and tell the listener."""

    def channel(self, message: Json) -> str:
        """Return the channel of a data push, empty for everything else."""
        return str(message["arg"].get("channel", "")) if "data" in message and "arg" in message else ""

    def private(self, channel: str) -> bool:
        """Tell whether a channel tells of the account."""
        return channel in self.private_channels

    def acknowledged(self, url: str, message: Json) -> str:  # noqa: ARG002 - some venues need the socket
        """Return the channel whose subscription a message confirms, empty for everything else."""
        if message.get("event") != "subscribe":
            return ""
        return str((message.get("arg") or {}).get("channel", ""))

    def connected_to(self, url: str) -> None:  # noqa: B027 - most venues acknowledge their subscriptions
        """Take note that a socket is open."""

    def time_ms(self, message: Json) -> int:
        """Return the venue's time in a push, 0 without one."""
        return int(message.get("ts") or 0)

    # state ----------------------------------------------------------------------------------------------------------

    @property
    def listener(self) -> Listener:
        """Who hears this venue."""
        if self._listener is None:
            raise ConfigError(f"{self.name} is not started; call start first")
        return self._listener

    def connected(self) -> bool:
        """Tell whether the private session is subscribed."""
        return self._open

    def silence_s(self) -> float:
        """Return the age in seconds of the last public push."""
        return time.monotonic() - self._last_push_s if self._last_push_s else float("inf")

    def venue_ns(self) -> int:
        """Return the newest time that the venue has told."""
        return self._venue_ns

    @property
    def malformed(self) -> int:
        """How many frames could not be parsed."""
        return int(self._data.counts.malformed) if self._data is not None else 0

    # hearing --------------------------------------------------------------------------------------------------------

    def heard(self, url: str, message: Json, number: int) -> None:
        """Take a message of any socket."""
        if not number:
            self.acknowledge(self.acknowledged(url, message), url)
            return
        self._venue_ns = max(self._venue_ns, self.time_ms(message) * _MS)
        if self.private(self.channel(message)):
            self.hear_private(message, number)
        else:
            self._last_push_s = time.monotonic()
            self.hear_public(message, time.time_ns())

    def acknowledge(self, what: str, url: str) -> None:
        """Take note of a confirmed subscription on a socket; the last one opens the private session."""
        if not what:
            return
        self._acked[what] = url
        if not self._open and set(self._acked) >= (self.session or self.private_channels):
            self._open = True
            _log.info("private.opened", venue=self.name, account=self.options.account)
            self.listener.on_private_open()

    # keeping --------------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Start every stream and the watchdog."""
        for stream, (kind, watch) in self.watches().items():
            self._tasks.append(asyncio.create_task(self._keep(stream, kind, watch), name=f"watch:{stream}"))
        self._tasks.append(asyncio.create_task(self._watchdog(), name="watchdog"))

    async def _keep(self, stream: str, kind: str, watch: Watch) -> None:
        """Subscribe, then hold until the socket fails, and again."""
        attempt, urls = 0, list[str]()
        WATCHED.set(urls)
        while True:
            urls.clear()
            try:
                await watch()
                attempt = 0
                socket = self._data.clients.get(urls[-1]) if urls else None
                if socket is not None:
                    await socket.future(f"{HOLD}{stream}")
            except asyncio.CancelledError:
                if _cancelled():
                    raise
            except WRONG as error:
                self._lost(kind, urls[-1] if urls else "", stream, error)
            delay = self.options.redial_s[min(attempt, len(self.options.redial_s) - 1)]
            attempt += 1
            await asyncio.sleep(delay)

    def _lost(self, kind: str, url: str, stream: str, error: BaseException) -> None:
        """Forget what a failed socket has told, and close one that a refused subscription has poisoned."""
        if not isinstance(error, NetworkError):
            _log.warning("stream.refused", venue=self.name, stream=stream, error=str(error)[:200])
            drop(self._data, url, f"{stream} was refused; the socket is opened anew")
        if kind == "public":
            self._data.orderbooks.clear()
            self.listener.on_lost("public", f"{stream}: {error}")
            return
        self._acked = {what: socket for what, socket in self._acked.items() if socket != url}
        if self._open:
            self._open = False
            _log.warning("private.lost", venue=self.name, account=self.options.account, error=str(error)[:200])
            self.listener.on_lost("private", f"{stream}: {error}")

    async def _watchdog(self) -> None:
        """Close a socket that has said nothing, not even pong, and all of them once a day."""
        started = time.monotonic()
        while True:
            await asyncio.sleep(min(5.0, self.options.silent_s / 4))
            now = time.monotonic()
            for url in self.sockets():
                last = self._data.counts.last_s.get(url, now)
                if now - last > self.options.silent_s:
                    _log.warning("socket.silent", venue=self.name, url=url.split("?")[0], silent_s=round(now - last, 1))
                    self._data.counts.last_s[url] = now
                    drop(self._data, url, "the socket was silent; it is opened anew")
            if now - started > self.options.recycle_s:
                started = now
                self.recycle()

    def sockets(self) -> list[str]:
        """Return the URLs of the sockets that are in use."""
        return [url for url in self._data.clients if url.startswith("ws")]

    def recycle(self) -> None:
        """Open every socket anew and let ccxt's caches go."""
        _log.info("session.recycled", venue=self.name, account=self.options.account)
        for url in self.sockets():
            drop(self._data, url, "the session is renewed once a day")
        self._data.ohlcvs, self._data.tickers, self._data.bidsasks = {}, {}, {}
        self._data.orders = self._data.triggerOrders = self._data.myTrades = self._data.positions = None

    async def watched_book(self, symbol: str, unified: str, depth: int, within_s: float) -> Json:
        """Return the next order book of a symbol, never a crossed one.

        Raises:
            CorruptData: it is crossed; the cached book and its socket are dropped, ask again.
            TransientError: the socket failed or nothing came in time.
        """
        urls: list[str] = []
        token = WATCHED.set(urls)
        try:
            async with asyncio.timeout(within_s):
                book = await self._data.watch_order_book(unified, depth)
        except (*WRONG, TimeoutError) as error:
            self._data.orderbooks.pop(unified, None)
            raise raised_read(error, f"{self.name}: cannot watch the book of {symbol}", self.refusals) from error
        finally:
            WATCHED.reset(token)
        if book["bids"] and book["asks"] and book["bids"][0][0] >= book["asks"][0][0]:
            self._data.orderbooks.pop(unified, None)
            for url in urls[-1:] or self.sockets():
                drop(self._data, url, "a crossed book came; the socket is opened anew")
            raise CorruptData(f"{self.name}: the book of {symbol} is crossed; it was dropped, watch it again")
        return {"bids": list(book["bids"]), "asks": list(book["asks"]), "timestamp": book["timestamp"]}


def _cancelled() -> bool:
    """Tell a task that is being cancelled from a future that ccxt cancelled under it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
