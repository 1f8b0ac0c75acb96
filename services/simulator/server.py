"""The sockets of one simulator: the venue's port, the admin port and the running clock. Started by the service."""

from __future__ import annotations

import asyncio
import contextlib
import time

from aiohttp import web

from omega.errors import EnvironmentFault
from omega.telemetry import get_logger
from services.simulator.admin import Admin
from services.simulator.candles import MINUTE_MS
from services.simulator.exchange import Exchange
from services.simulator.faults import Faults
from services.simulator.hub import Hub
from services.simulator.limits import Limiter
from services.simulator.recovery import recover
from services.simulator.rest.edge import Edge

log = get_logger(__name__)


class Server:
    """One exchange behind its two ports; port 0 takes a free one."""

    def __init__(self, exchange: Exchange, *, host: str, port: int, admin_port: int) -> None:
        self.exchange = exchange
        self.faults = Faults()
        self.hub = Hub(exchange, self.faults)
        self.port, self.admin_port = port, admin_port
        self._host = host
        self.edge = Edge(exchange, Limiter(time.monotonic, enabled=exchange.options.limits), self.faults)
        self._runners: list[web.AppRunner] = []
        exchange.feed = self.hub

    @property
    def url(self) -> str:
        """The REST address; `ws_url` is the same with another scheme."""
        return f"http://{self._host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket address."""
        return f"ws://{self._host}:{self.port}"

    @property
    def admin_url(self) -> str:
        """The address of the admin API."""
        return f"http://{self._host}:{self.admin_port}"

    async def start(self) -> None:
        """Open both ports.

        Raises:
            EnvironmentFault: a port is taken; nothing is left open then.
        """
        venue = web.Application()
        venue.router.add_route("*", "/{tail:.*}", self._serve)
        admin = web.Application()
        self.admin = Admin(self.exchange, self.hub, self.faults)
        admin.add_routes(self.admin.routes())
        recovered = recover(self.exchange)
        try:
            self.port = await self._open(venue, self.port)
            self.admin_port = await self._open(admin, self.admin_port)
        except BaseException:
            await self.stop()
            raise
        log.info(
            "simulator.opened",
            url=self.url,
            admin=self.admin_url,
            symbols=sorted(self.exchange.series),
            recovered=recovered,
        )

    async def _open(self, app: web.Application, port: int) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, self._host, port).start()
        except OSError as error:
            raise EnvironmentFault(
                f"the simulator cannot listen on {self._host}:{port}: {error.strerror or error}. Stop what uses the "
                "port (`ss -ltnp` shows it) or choose another with --port and --admin-port."
            ) from error
        bound: int = runner.addresses[0][1]
        return bound

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        for name in ("public", "private"):
            if path.endswith(f"/v2/ws/{name}"):
                return await self.hub.serve(request, private=name == "private")
        return await self.edge.answer(request)

    async def run(self) -> None:
        """Move the clock until the candles end; in lock-step the admin API moves it.

        Raises:
            EnvironmentFault: the log of inputs cannot be written; what happened since would be forgotten.
        """
        exchange = self.exchange
        if not exchange.options.lockstep:
            await self._run_clock()
            log.info("replay.ended", at_ms=exchange.venue.now_ms)
        await exchange.inputs.watch()

    async def _run_clock(self) -> None:
        replay = self.exchange.venue.replay
        if replay.now_ms > replay.start_ms:  # brought back in the middle of a run: whoever waited has gone on long ago
            self.admin.go.set()
        elif self.exchange.options.hold:
            await self.admin.go.wait()
        pause = MINUTE_MS / 1000 / self.exchange.options.speed / self.exchange.parts
        due = time.monotonic() + pause
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not await self.exchange.run_stretch():
                return
            # The schedule holds on average; a machine that cannot keep up falls behind instead of rushing.
            due = max(due + pause, time.monotonic() - pause)

    async def stop(self) -> None:
        """Close every socket and both ports."""
        async with contextlib.AsyncExitStack() as closing:
            closing.callback(self.exchange.inputs.close)
            for runner in self._runners:
                closing.push_async_callback(_clean_up, runner)
            self._runners.clear()
            await self.hub.close()


async def _clean_up(runner: web.AppRunner) -> None:
    with contextlib.suppress(OSError):
        await runner.cleanup()
