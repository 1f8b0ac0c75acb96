"""The wire server: a real HTTP and WebSocket socket on loopback, which answers from a fixture and records requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from aiohttp import WSMsgType, web

from omega.testing.wire.book import Refusal, WireBook, WireOrder, iso, now_ms
from omega.testing.wire.fixture import Fixture, fixture

Json = dict[str, Any]
_BARS: Final = 300
_MINUTE: Final = 60_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One recorded request; `fields` are query, form and JSON body in one."""

    method: str
    path: str
    fields: Mapping[str, Any]
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next request of a route: `how` is a status (500) or `drop` or `hang`.

    With `accepted` the venue has carried the request out before.
    """

    route: str
    how: str
    accepted: bool = False


@dataclass(slots=True)
class WireServer:
    """One venue's fixture behind a port."""

    fixture: Fixture
    book: WireBook
    asked: list[Asked] = field(default_factory=list)
    said: list[Json] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    """Answers by route that stand in for the fixture's."""
    refusals: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Status and body by route, answered in the fixture's place; nothing is carried out."""
    pushed: int = 0
    """Private frames sent so far."""
    port: int = 0
    _sockets: dict[web.WebSocketResponse, str] = field(default_factory=dict)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    def calls(self, route: str) -> list[Asked]:
        """Return the recorded requests of a route, as `POST /path`."""
        return [asked for asked in self.asked if f"{asked.method} {asked.path}" == route]

    # http -----------------------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        asked = await _recorded(request)
        self.asked.append(asked)
        route = f"{asked.method} {asked.path}"
        fault = next((item for item in self.faults if item.route == route), None)
        if fault is not None:
            self.faults.remove(fault)
            return await self._fail(request, fault, asked)
        status, body = self.answer(asked)
        return web.json_response(body, status=status)

    async def _fail(self, request: web.Request, fault: Fault, asked: Asked) -> web.StreamResponse:
        if fault.accepted:
            self.answer(asked)
        if fault.how == "hang":
            await self._closing.wait()
        if fault.how == "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=int(fault.how), text="<html>upstream failed</html>", content_type="text/html")

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Return status and body for a request."""
        refused = self.refusals.get(f"{asked.method} {asked.path}")
        if refused is not None:
            return refused
        route = self._route(asked)
        if route is None:
            return 404, {"error": f"the fixture {self.fixture.name} has no {asked.method} {asked.path}"}
        fields = {name: _at(asked.fields, path) for name, path in route.get("fields", {}).items()}
        try:
            order = self._do(str(route.get("do", "")), fields)
        except Refusal as refusal:
            found = self.fixture.data["refusals"][refusal.name]
            return int(found.get("status", 200)), self._fill(found["body"], fields, None)
        return 200, self._fill(route["answer"], fields, order)

    def _route(self, asked: Asked) -> Json | None:
        name = f"{asked.method} {asked.path}"
        if name in self.overrides:
            return {"answer": self.overrides[name]}
        found = self.fixture.data["routes"].get(name)
        for route in found if isinstance(found, list) else [found] if found else []:
            wanted = route.get("when", {})
            if all(_matches(_at(asked.fields, path), value) for path, value in wanted.items()):
                return dict(route)
        return None

    def _do(self, deed: str, fields: Json) -> WireOrder | None:
        book, market = self.book, str(self.fixture.data["market"])
        match deed:
            case "place":
                return book.place(fields, market)
            case "plan":
                return book.plan(fields, market)
            case "find":
                return book.find(fields, book.orders)
            case "cancel":
                return book.cancel(fields)
            case "resize":
                return book.resize(fields)
            case "leverage":
                book.leverage = str(fields["leverage"])
        return None

    def _fill(self, template: Any, fields: Json, order: WireOrder | None) -> Any:
        slots = {
            **self._slots(),
            **{k: v for k, v in fields.items() if v is not None},
            **(order.slots() if order else {}),
        }
        return self.fixture.fill(template, slots, lambda name: self._select(name, fields))

    def _select(self, name: str, fields: Json) -> list[Mapping[str, object]]:
        if name != "candles":
            return self.book.select(name, fields)
        newest = now_ms() // _MINUTE * _MINUTE
        count = min(int(fields.get("limit") or 100), _BARS)
        stamps = range(newest - (count - 1) * _MINUTE, newest + 1, _MINUTE)
        rows: list[Mapping[str, object]] = [
            {"open_ts": ts, "open_s": ts // 1000, "end_ts": ts + _MINUTE - 1, "price": self.book.price} for ts in stamps
        ]
        return rows[::-1] if self.fixture.data.get("newest_first") else rows

    def _slots(self) -> dict[str, object]:
        book, price = self.book, self.book.price
        now = now_ms()
        return {
            **book.position_slots(),
            "market": self.fixture.data["market"],
            "position_side": book.position_slots()["side"],
            "now": now,
            "now_s": now // 1000,
            "now_iso": iso(now),
            "minute": now // _MINUTE * _MINUTE,
            "minute_end": now // _MINUTE * _MINUTE + _MINUTE - 1,
            "price": price,
            "bid": price - 1,
            "ask": price + 1,
            "leverage": book.leverage,
            "hedged": book.hedged,
        }

    # sockets --------------------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = request.path
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._reply(socket, message.data)
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def _reply(self, socket: web.WebSocketResponse, text: str) -> None:
        if text == "ping":
            await socket.send_str("pong")
            return
        said = json.loads(text)
        self.said.append(said)
        for reply in self.fixture.data["replies"]:
            if all(said.get(key) == value for key, value in reply["when"].items()):
                for item in said.get(reply["each"], []) if "each" in reply else [None]:
                    body = json.dumps(reply["answer"]).replace('"$item"', json.dumps(item))
                    slots = {**self._slots(), **{k: v for k, v in said.items() if isinstance(v, str | int)}}
                    await socket.send_json(self.fixture.fill(json.loads(body), slots, self.book_rows))
                return

    def book_rows(self, name: str) -> list[Mapping[str, object]]:
        """Return the slots of a list's rows, for a push."""
        return self._select(name, {})

    async def push(self, name: str, slots: Mapping[str, object] | None = None) -> None:
        """Send one of the fixture's pushes on its sockets; a fixture that lacks it sends none."""
        shape = self.fixture.data["pushes"].get(name)
        if shape is None:
            return
        frame = self.fixture.fill(shape["frame"], {**self._slots(), **(slots or {})}, self.book_rows)
        for socket, path in list(self._sockets.items()):
            if path.startswith(shape["path"]):
                await socket.send_json(frame)
                self.pushed += bool(shape.get("private"))

    async def send(self, path: str, text: str) -> None:
        """Send any text on the sockets of a path."""
        for socket, at in list(self._sockets.items()):
            if at.startswith(path):
                await socket.send_str(text)

    async def fill_orders(self) -> None:
        """Fill every live order and tell of it: order, execution, the stop that rode on it, position, money."""
        for order in [order for order in self.book.orders if order.status == "live"]:
            fill = self.book.fill(order)
            await self.push("order", fill.slots())
            await self.push("fill", fill.slots())
            if order.stop:
                await self.push("plan", self.book.plans[-1].slots())
            await self.push("position")
            await self.push("balance")

    async def fire(self, plan: WireOrder) -> None:
        """Let a trigger order fire and fill, and tell of it."""
        plan.status = "fired"
        await self.push("plan_fired", plan.slots())
        fill = self.book.fill(plan)
        plan.status = "fired"
        await self.push("fill", fill.slots())
        await self.push("position")

    async def close_sockets(self) -> None:
        """Close every socket, as a venue does."""
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))

    async def close(self) -> None:
        """Close every socket, and let go of the requests that hang: those of a client that is gone too."""
        self._closing.set()
        await self.close_sockets()


@contextlib.asynccontextmanager
async def wire_server(name: str, *, price: Decimal | None = None) -> AsyncIterator[WireServer]:
    """Serve a venue's fixture on a free port of loopback.

    Raises:
        ConfigError: there is no such fixture.
    """
    shapes = fixture(name)
    data = shapes.data
    book = WireBook(
        price=price or Decimal(data["price"]),
        fee_rate=Decimal(data["fee_rate"]),
        most=Decimal(data["most"]),
        coins=Decimal(data["coins"]),
    )
    server = WireServer(shapes, book)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = int(runner.addresses[0][1])
    try:
        yield server
    finally:
        try:
            await server.close()
        finally:
            await runner.cleanup()


async def _recorded(request: web.Request) -> Asked:
    text = await request.text()
    fields: Json = dict(request.query)
    with contextlib.suppress(ValueError):
        body = json.loads(text) if text else {}
        fields.update(body if isinstance(body, dict) else {"list": body})
        return Asked(request.method, request.path, fields, dict(request.headers), text)
    fields.update({key: str(value) for key, value in (await request.post()).items()})
    return Asked(request.method, request.path, fields, dict(request.headers), text)


def _at(fields: Mapping[str, Any], path: str) -> Any:
    found: Any = fields
    for step in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _matches(value: Any, wanted: Any) -> bool:
    """Tell whether a field is what a route wants: any value for true, absence for false, else this very text."""
    if isinstance(wanted, bool):
        return (value not in {None, ""}) is wanted
    return str(value) == str(wanted)
