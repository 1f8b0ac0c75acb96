"""The generic adapter over ccxt.pro: two clients an account, streams that come back, one error map. Venues subclass it.

The `orders` client writes, the `data` client reads and listens; both share the markets, and neither has a limiter of
its own for requests: the gateway's lanes decide. Whatever a venue does in its own way is a hook.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import structlog
from ccxt.base.errors import BaseError, NetworkError

from omega.domain import Bar, Instrument
from omega.errors import ConfigError, CorruptData, OmegaError, Unresolved
from omega.resilience import retry_read
from services.gateway.classify import raised, raised_read
from services.gateway.venue import (
    Ack,
    Balance,
    FundingBill,
    Listener,
    OrderRequest,
    PlanOrder,
    PlanRequest,
    Trade,
    VenueOptions,
    VenueOrder,
    VenuePosition,
)
from services.gateway.venues._tap import HANDED, HOLD, Json, drop, tapped

Watch = Callable[[], Awaitable[object]]

_log = structlog.get_logger(__name__)
_WRONG = (*(TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError), BaseError)


class CcxtVenue(ABC):
    """One account at one exchange, over an unmodified ccxt.pro."""

    name: str = ""
    exchange_id: ClassVar[str] = ""
    private_channels: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: VenueOptions) -> None:
        self.options = options
        self.instruments: Mapping[str, Instrument] = {}
        self._orders: Any = None
        self._data: Any = None
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._acked: set[str] = set()
        self._open = False
        self._last_push_s = 0.0
        self._venue_ns = 0

    # hooks ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def config(self) -> Json:
        """Return the constructor arguments of both clients."""

    @abstractmethod
    def read_instruments(self, markets: Mapping[str, Json]) -> dict[str, Instrument]:
        """Return the instruments by farm symbol."""

    @abstractmethod
    def public_url(self) -> str:
        """Return the URL of the public socket."""

    @abstractmethod
    def private_url(self) -> str:
        """Return the URL of the private socket."""

    @abstractmethod
    def watches(self) -> Mapping[str, tuple[str, Watch]]:
        """Return every stream: name -> (socket, call)."""

    @abstractmethod
    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse one data push of the public socket and tell the listener."""

    @abstractmethod
    def hear_private(self, message: Json, number: int) -> None:
        """Parse one data push of the private socket and tell the listener."""

    async def prove(self) -> None:  # noqa: B027 - most venues have nothing to prove
        """Make the first private calls: position mode and the like."""

    # life -----------------------------------------------------------------------------------------------------------

    async def start(self, listener: Listener) -> None:
        """Load the markets, prove the credentials and begin to listen."""
        self._listener = listener
        config = self.config()
        self._data = tapped(self.exchange_id, config, self._ear)
        self._orders = tapped(self.exchange_id, config, self._ear)
        if self.options.sandbox:
            for client in (self._data, self._orders):
                client.set_sandbox_mode(True)
        load = partial(self.read, "load the markets", self._data.load_markets)
        await retry_read(load, attempts=100, within_s=self.options.start_s)
        self._orders.set_markets_from_exchange(self._data)
        self.instruments = self.read_instruments(self._data.markets)
        missing = [symbol for symbol in self.options.symbols if symbol not in self.instruments]
        if missing:
            known = ", ".join(sorted(self.instruments)[:12])
            raise ConfigError(f"{self.name} has no {', '.join(missing)}; set gateway.symbols to some of {known}")
        await self.prove()
        for stream, (socket, watch) in self.watches().items():
            self._tasks.append(asyncio.create_task(self._keep(stream, socket, watch), name=f"watch:{stream}"))
        self._tasks.append(asyncio.create_task(self._watchdog(), name="watchdog"))

    async def close(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        clients = [client for client in (self._data, self._orders) if client is not None]
        await asyncio.gather(*(client.close() for client in clients))

    def connected(self) -> bool:
        """Tell whether the private socket is subscribed."""
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

    @property
    def clients(self) -> tuple[Any, Any]:
        """The two ccxt clients: orders, data."""
        return self._orders, self._data

    # calls ----------------------------------------------------------------------------------------------------------

    def retry_after_s(self) -> float:
        """Return the Retry-After of the newest answer, whichever client had it."""
        waits = [0.0]
        for client in (self._orders, self._data):
            headers = getattr(client, "last_response_headers", None) or {}
            text = next((value for key, value in headers.items() if str(key).lower() == "retry-after"), "")
            waits.append(float(text) if str(text).isdigit() else 0.0)
        return max(waits)

    async def time_ns(self) -> int:
        """Ask the venue for its clock."""
        return int(await self.read("read the time", self._data.fetch_time)) * 1_000_000

    async def read(self, doing: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a read and translate its errors."""
        try:
            return await call()
        except OmegaError:
            raise
        except _WRONG as error:
            raise raised_read(error, f"{self.name}: cannot {doing}") from error

    async def write(
        self,
        doing: str,
        client_id: str,
        call: Callable[[], Awaitable[Any]],
        handed: Callable[[int], None] | None = None,
    ) -> Ack:
        """Make a write once and translate what comes; an answer without an id is unresolved."""
        token = HANDED.set(handed)
        try:
            answer = await call()
        except _WRONG as error:
            raise raised(error, f"{self.name}: {doing} {client_id}") from error
        finally:
            HANDED.reset(token)
        order_id = answer.get("id") if isinstance(answer, dict) else None
        if not order_id:
            raise Unresolved(
                f"{self.name}: {doing} {client_id} was answered without an order id; it is being looked up"
            )
        return Ack(str(order_id), client_id)

    # streams --------------------------------------------------------------------------------------------------------

    def _ear(self, url: str, message: Json, number: int) -> None:
        if url == self.private_url():
            self._hear_private(message, number)
        elif number:
            self._last_push_s = time.monotonic()
            self._note_time(message)
            self.hear_public(message, time.time_ns())

    def _hear_private(self, message: Json, number: int) -> None:
        if number:
            self._note_time(message)
            self.hear_private(message, number)
        elif message.get("event") == "subscribe":
            self._acked.add(str((message.get("arg") or {}).get("channel", "")))
            if not self._open and self._acked >= self.private_channels:
                self._open = True
                _log.info("private.opened", venue=self.name, account=self.options.account)
                self.listener.on_private_open()

    def _note_time(self, message: Json) -> None:
        ts = message.get("ts")
        if ts is not None:
            self._venue_ns = max(self._venue_ns, int(ts) * 1_000_000)

    @property
    def listener(self) -> Listener:
        """Who hears this venue."""
        if self._listener is None:
            raise ConfigError(f"{self.name} is not started; call start first")
        return self._listener

    async def _keep(self, stream: str, socket: str, watch: Watch) -> None:
        """Subscribe, then hold until the socket fails, and again: ccxt never comes back by itself."""
        url = self.private_url() if socket == "private" else self.public_url()
        attempt = 0
        while True:
            try:
                await watch()
                attempt = 0
                await self._data.client(url).future(f"{HOLD}{stream}")
            except asyncio.CancelledError:
                if asyncio.current_task() in self._cancelled():
                    raise
            except _WRONG as error:
                self._lost(socket, url, stream, error)
            delay = self.options.redial_s[min(attempt, len(self.options.redial_s) - 1)]
            attempt += 1
            await asyncio.sleep(delay)

    def _cancelled(self) -> list[asyncio.Task[None] | None]:
        """Tell a task that is being cancelled from a future that ccxt cancelled under it."""
        task = asyncio.current_task()
        return [task] if task is not None and task.cancelling() else []

    def _lost(self, socket: str, url: str, stream: str, error: BaseException) -> None:
        """Forget what a failed socket has told, and close one that a refused subscription has poisoned."""
        if not isinstance(error, NetworkError):
            _log.warning("stream.refused", venue=self.name, stream=stream, error=str(error)[:200])
            drop(self._data, url, f"{stream} was refused; the socket is opened anew")
        if socket == "public":
            self._data.orderbooks.clear()
            self.listener.on_lost("public", f"{stream}: {error}")
            return
        self._acked.clear()
        if self._open:
            self._open = False
            _log.warning("private.lost", venue=self.name, account=self.options.account, error=str(error)[:200])
            self.listener.on_lost("private", f"{stream}: {error}")

    async def _watchdog(self) -> None:
        """Close a socket that has said nothing, not even pong, and both once a day."""
        started = time.monotonic()
        while True:
            await asyncio.sleep(min(5.0, self.options.silent_s / 4))
            now = time.monotonic()
            for url in (self.public_url(), self.private_url()):
                last = self._data.counts.last_s.get(url, now)
                if now - last > self.options.silent_s:
                    _log.warning("socket.silent", venue=self.name, url=url, silent_s=round(now - last, 1))
                    self._data.counts.last_s[url] = now
                    drop(self._data, url, "the socket was silent; it is opened anew")
            if now - started > self.options.recycle_s:
                started = now
                self.recycle()

    def recycle(self) -> None:
        """Open both sockets anew and let ccxt's caches go."""
        _log.info("session.recycled", venue=self.name, account=self.options.account)
        for url in (self.public_url(), self.private_url()):
            drop(self._data, url, "the session is renewed once a day")
        self._data.ohlcvs, self._data.tickers, self._data.bidsasks = {}, {}, {}
        self._data.orders = self._data.triggerOrders = self._data.myTrades = self._data.positions = None

    async def book(self, symbol: str, *, depth: int = 5, within_s: float = 10.0) -> Json:
        """Return the next order book of a symbol, never a crossed one.

        Raises:
            CorruptData: it is crossed; the cached book and its socket are dropped, ask again.
            TransientError: the socket failed or nothing came in time.
        """
        unified = self.unified(symbol)
        try:
            async with asyncio.timeout(within_s):
                book = await self._data.watch_order_book(unified, depth)
        except (*_WRONG, TimeoutError) as error:
            self._data.orderbooks.pop(unified, None)
            raise raised_read(error, f"{self.name}: cannot watch the book of {symbol}") from error
        if book["bids"] and book["asks"] and book["bids"][0][0] >= book["asks"][0][0]:
            self._data.orderbooks.pop(unified, None)
            drop(self._data, self.public_url(), "a crossed book came; the socket is opened anew")
            raise CorruptData(f"{self.name}: the book of {symbol} is crossed; it was dropped, watch it again")
        return {"bids": list(book["bids"]), "asks": list(book["asks"]), "timestamp": book["timestamp"]}

    def unified(self, symbol: str) -> str:
        """Return ccxt's symbol of a farm symbol.

        Raises:
            ConfigError: the venue does not have it.
        """
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise ConfigError(f"{self.name} has no {symbol}; known are {', '.join(sorted(self.instruments)[:12])}")
        return instrument.venue_symbol

    # the rest of the port is the venue's ------------------------------------------------------------------------------

    @abstractmethod
    async def place(self, request: OrderRequest) -> Ack:
        """Send one market order once."""

    @abstractmethod
    async def place_plan(self, request: PlanRequest) -> Ack:
        """Send one trigger order once."""

    @abstractmethod
    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        """Change size and trigger of a resting trigger order, in place; Rejected where the venue cannot."""

    @abstractmethod
    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order."""

    @abstractmethod
    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order."""

    @abstractmethod
    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return the order of a client id."""

    @abstractmethod
    async def open_orders(self) -> list[VenueOrder]:
        """Return the resting orders."""

    @abstractmethod
    async def past_orders(self, symbol: str) -> list[VenueOrder]:
        """Return the newest finished orders."""

    @abstractmethod
    async def plans(self, *, every: bool = True) -> list[PlanOrder]:
        """Return the live trigger orders."""

    @abstractmethod
    async def past_plans(self, symbol: str) -> list[PlanOrder]:
        """Return the newest trigger orders that have ended."""

    @abstractmethod
    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions."""

    @abstractmethod
    async def positions(self) -> list[VenuePosition]:
        """Return the open positions."""

    @abstractmethod
    async def balance(self) -> Balance:
        """Return the account's money."""

    @abstractmethod
    async def funding(self, symbol: str) -> list[FundingBill]:
        """Return the newest funding payments."""

    @abstractmethod
    async def candles(self, symbol: str, timeframe: str, *, limit: int, since_ns: int = 0) -> list[Bar]:
        """Return candles, oldest first."""

    @abstractmethod
    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of one symbol."""

    @abstractmethod
    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
