"""One REST request from socket to answer: faults, signature, limits, rights, handler. Called by the server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from omega.errors import EnvironmentFault, Rejected
from omega.telemetry import get_logger
from services.simulator import codes, signature
from services.simulator.codes import Code, refuse
from services.simulator.exchange import Exchange
from services.simulator.faults import MAINTENANCE_CODE, Fault, Faults, What
from services.simulator.inputs import Kind
from services.simulator.intake import Fields
from services.simulator.limits import Limiter
from services.simulator.rest.routes import PRIVATE, PUBLIC
from services.simulator.wire_json import BROKEN, dumps, loads

_JSON: Final = "application/json"
_STATUS: Final = {
    What.HTTP_503: (503, "service unavailable"),
    What.HTTP_429: (429, '{"code":"429","msg":"Too Many Requests"}'),
    What.HTTP_418: (418, "I'm a teapot"),
}

log = get_logger(__name__)


class Edge:
    """The REST edge of one exchange."""

    def __init__(self, exchange: Exchange, limiter: Limiter, faults: Faults) -> None:
        self._exchange = exchange
        self._limiter = limiter
        self._faults = faults
        self._unknown: set[tuple[str, str]] = set()
        self.answered: Counter[tuple[str, str]] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = (await request.read()).decode()
        raw = request.raw_path.partition("?")
        path = raw[0][raw[0].find("/api/") :]
        fault = self._faults.draw(path)
        if fault is not None:
            early = await self._before(fault, request)
            if early is not None:
                return early
        skew_s = fault.seconds if fault is not None and fault.what is What.CLOCK_SKEW else 0.0
        status, text = await self._work(request, path, raw[2], body, skew_s=skew_s)
        if fault is not None and fault.what is What.DROP_AFTER:
            return _drop(request)
        return web.Response(status=status, text=text, content_type=_JSON)

    async def _before(self, fault: Fault, request: web.Request) -> web.Response | None:
        log.info("fault.drawn", what=fault.what, path=request.path)
        if fault.what is What.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault.what is What.DROP_BEFORE:
            return _drop(request)
        elif fault.what in _STATUS:
            status, text = _STATUS[fault.what]
            return web.Response(status=status, text=text)
        elif fault.what in {What.CODE, What.MAINTENANCE}:
            code = MAINTENANCE_CODE if fault.what is What.MAINTENANCE else fault.code
            return web.Response(
                status=codes.http_status(code), text=_envelope(code, "scripted fault", None), content_type=_JSON
            )
        return None

    async def _work(self, request: web.Request, path: str, query: str, body: str, *, skew_s: float) -> tuple[int, str]:
        try:
            data = self._handle(request, path, query, body, skew_s=skew_s)
        except Rejected as error:
            # What was refused half way may have cancelled others first: their frames go out all the same.
            await self._exchange.flush()
            self.answered["" if error.code == Code.UNKNOWN_URL else path, str(error.code)] += 1
            return codes.http_status(error.code), _envelope(error.code, str(error), None)
        except EnvironmentFault as error:
            log.critical("input.lost", error=str(error))
            return codes.http_status(Code.BUSY), _envelope(Code.BUSY, "the simulator is stopping", None)
        text = _envelope("00000", "success", data)
        await self._exchange.flush()
        self.answered[path, "00000"] += 1
        return 200, text

    def _handle(self, request: web.Request, path: str, query: str, body: str, *, skew_s: float) -> Any:
        venue = self._exchange.venue
        if request.method == "GET" and path in PUBLIC:
            self._meter(request.remote or "", path)
            return PUBLIC[path](venue, Fields(request.query))
        route = PRIVATE.get((request.method, path))
        if route is None:
            raise self._unknown_path(request.method, path)
        signed = signature.Signed(request.method, path, query, body, request.headers)
        account = signature.verify(signed, venue.accounts, time.time_ns() // 1_000_000 + int(skew_s * 1000))
        self._meter(account.uid, path)
        if not account.may(route.right):
            raise refuse(Code.PERMISSION, f"the key lacks the right to {route.right}")
        fields = Fields(request.query) if request.method == "GET" else Fields(_object(body))
        if request.method == "GET":
            return route.handler(venue, account, fields)
        try:
            return route.handler(venue, account, fields)
        finally:
            # A refused request is an input too: it may have used up ids or made room for itself.
            self._exchange.inputs.note(Kind.REST, uid=account.uid, path=path, body=dict(fields.values))

    def _meter(self, caller: str, path: str) -> None:
        if not self._limiter.allow(caller, path):
            raise refuse(Code.LIMIT)

    def _unknown_path(self, method: str, path: str) -> Rejected:
        # Whoever builds on a path that is not served must see it; once for each path is loud enough.
        if (method, path) not in self._unknown:
            self._unknown.add((method, path))
            log.error("request.unknown_path", method=method, path=path)
        return refuse(Code.UNKNOWN_URL, f"{method} {path}")


def _object(body: str) -> Mapping[str, Any]:
    try:
        value = loads(body or "{}")
    except BROKEN:
        raise refuse(Code.PARAMETER, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise refuse(Code.PARAMETER, "the body is no JSON object")
    return value


def _envelope(code: str, message: str, data: Any) -> str:
    return dumps({"code": str(code), "msg": message, "requestTime": time.time_ns() // 1_000_000, "data": data})


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
