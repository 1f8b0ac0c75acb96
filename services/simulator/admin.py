"""The admin API on a port of its own: the clock in lock-step, faults, the ledger, orders by hand, reset.

For tests and demos. It asks for no key and therefore listens on the loopback unless told otherwise.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from aiohttp import web

from omega.errors import ConfigError, Rejected
from services.simulator import by_hand, mishaps
from services.simulator.account import Right
from services.simulator.codes import Code, refuse
from services.simulator.exchange import Exchange
from services.simulator.faults import SOCKET_FAULTS, Faults, read_fault
from services.simulator.hub import Hub
from services.simulator.inputs import Kind
from services.simulator.intake import Fields
from services.simulator.ledger import exposed, ledger, waiting
from services.simulator.wire_json import BROKEN, dumps, loads


class Admin:
    """The admin endpoints of one exchange."""

    def __init__(self, exchange: Exchange, hub: Hub, faults: Faults) -> None:
        self._exchange = exchange
        self._hub = hub
        self._faults = faults
        self.go = asyncio.Event()
        """Set when a clock that was told to hold may run."""

    def routes(self) -> list[web.RouteDef]:
        """Return the paths that are served."""
        return [
            web.post("/step", self._step),
            web.post("/go", self._go),
            web.get("/clock", self._clock),
            web.get("/ledger", self._ledger),
            web.post("/faults", self._fault),
            web.get("/faults", self._faults_left),
            web.delete("/faults", self._no_faults),
            web.post("/orders", self._order),
            web.post("/cancel", self._cancel),
            web.post("/mishaps", self._mishap),
            web.get("/exposed", self._exposed),
            web.post("/rights", self._rights),
            web.post("/reset", self._reset),
        ]

    async def _step(self, request: web.Request) -> web.Response:
        """Pass one bar: `phase=orders` works it out and tells the accounts, `phase=market` shows it, neither does both.

        With `after=<ts>` a bar is passed only when the clock still stands there: a caller may safely ask again.
        """
        exchange = self._exchange
        if not exchange.options.lockstep:
            return _answer({"error": "the clock runs by itself: start with --speed lockstep to step it"}, 409)
        phase, after = request.query.get("phase", ""), request.query.get("after", "")
        private, steps = 0, phase != "market" and after in {"", str(exchange.venue.now_ms)}
        if steps:
            private = await exchange.step_orders()
        if phase != "orders" or (steps and not private):
            await exchange.publish()
        return _answer(self._state() | {"private": private})

    async def _go(self, _request: web.Request) -> web.Response:
        """Let a clock run that was told to hold; a second call does nothing."""
        self.go.set()
        return _answer(self._state())

    def _state(self) -> dict[str, Any]:
        venue = self._exchange.venue
        return {
            "ts": venue.now_ms,
            "fills": len(venue.book.trades),
            "remaining": venue.replay.remaining,
            "published": self._exchange.published,
            "private_seq": self._hub.private_seq,
        }

    async def _clock(self, _request: web.Request) -> web.Response:
        replay = self._exchange.venue.replay
        span = {"start": replay.start_ms, "end": replay.end_ms, "speed": self._exchange.options.speed}
        return _answer(self._state() | span)

    async def _ledger(self, _request: web.Request) -> web.Response:
        return _answer(ledger(self._exchange.venue))

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            fault = read_fault(await _fields(request))
        except (ConfigError, Rejected) as error:
            return _answer({"error": str(error)}, 400)
        if fault.what in SOCKET_FAULTS:
            return _answer({"hit": await self._hub.apply(fault)})
        self._faults.waiting.append(fault)
        return _answer({"waiting": len(self._faults.waiting)})

    async def _faults_left(self, _request: web.Request) -> web.Response:
        return _answer({"waiting": sum(fault.times for fault in self._faults.waiting)})

    async def _no_faults(self, _request: web.Request) -> web.Response:
        self._faults.waiting.clear()
        return _answer({"waiting": 0})

    async def _order(self, request: web.Request) -> web.Response:
        """Place an order by hand, as a person on the venue's page would."""
        return await self._by_hand(request, "place")

    async def _cancel(self, request: web.Request) -> web.Response:
        """Cancel an order or a plan order by hand."""
        return await self._by_hand(request, "cancel")

    async def _by_hand(self, request: web.Request, act: str) -> web.Response:
        exchange = self._exchange
        try:
            fields = await _fields(request)
            done = by_hand.ACTS[act](exchange.venue, fields)
        except Rejected as error:
            return _answer({"code": str(error.code), "error": str(error)}, 400)
        exchange.inputs.note(Kind.HAND, act=act, body=dict(fields.values))
        await exchange.flush()
        return _answer({"orderId": done.order_id, "clientOid": done.client_oid, "status": done.status})

    async def _mishap(self, request: web.Request) -> web.Response:
        """Let something happen to an account, `{"mishap": "funding" | "liquidation" | "partial" | "no_stop"}`."""
        exchange = self._exchange
        try:
            fields = await _fields(request)
            mishaps.befall(exchange.venue, fields)
        except Rejected as error:
            return _answer({"code": str(error.code), "error": str(error)}, 400)
        exchange.inputs.note(Kind.MISHAP, body=dict(fields.values))
        await exchange.flush()
        return _answer({"mishap": fields.text("mishap")})

    async def _exposed(self, _request: web.Request) -> web.Response:
        """Tell what the first account holds, what stops cover of it, and what waits: small, for whoever looks often."""
        venue = self._exchange.venue
        account = next(iter(venue.by_uid.values()))
        return _answer(
            {
                "ts": venue.now_ms,
                "positions": exposed(venue, account),
                "orders": waiting(venue, account),
                "armed": venue.partials + venue.lost_stops,
            }
        )

    async def _rights(self, request: web.Request) -> web.Response:
        """Give a key other rights, `{"account": uid, "rights": ["read", "trade", "withdraw"]}`."""
        try:
            fields = await _fields(request)
            account = by_hand.account_of(self._exchange.venue, fields)
            rights = frozenset(Right(str(right)) for right in fields.values.get("rights", ()))
        except (Rejected, ValueError) as error:
            return _answer({"error": str(error)}, 400)
        account.spec = replace(account.spec, rights=rights)
        return _answer({"account": account.uid, "rights": sorted(rights)})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._exchange.reset()
        self._hub.reset()
        self._faults.waiting.clear()
        return _answer({"ts": self._exchange.venue.now_ms})


async def _fields(request: web.Request) -> Fields:
    text = await request.text()
    try:
        value = loads(text or "{}")
    except BROKEN:
        raise refuse(Code.PARAMETER, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise refuse(Code.PARAMETER, "the body is no JSON object")
    return Fields(value)


def _answer(data: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, text=dumps(data), content_type="application/json")
