"""The simulator as a service: settings to options, the server's life, the metrics. Made by the composition root."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from omega.bus import Bus
from omega.config import Settings
from omega.errors import ConfigError, CorruptData, EnvironmentFault
from omega.runtime import BaseService
from services.simulator.account import AccountSpec
from services.simulator.exchange import load_exchange
from services.simulator.options import DATA, SimulatorOptions
from services.simulator.server import Server

_FIRST_UID = 1_000_000_001


class SimulatorService(BaseService):
    """A local exchange in a container of its own."""

    name = "simulator"

    def __init__(self, *, settings: Settings, bus: Bus, fill_gaps: bool = False) -> None:
        super().__init__(settings=settings, bus=bus)
        self._options = replace(options_of(settings), fill_gaps=fill_gaps)
        self._server: Server | None = None
        self._counted: Counter[tuple[str, ...]] = Counter()

    @property
    def server(self) -> Server:
        """The server, there after `initialize`."""
        if self._server is None:
            raise ConfigError("the simulator has no server before it is initialised: call initialize() first")
        return self._server

    async def on_initialize(self) -> None:
        """Read the candles and open the ports.

        Raises:
            ConfigError: a candle or funding file breaks its format; file, row and column are named.
        """
        section = self.settings.simulator
        try:
            exchange = await asyncio.to_thread(load_exchange, self._options)
        except CorruptData as error:  # nothing runs without the file, and only a person can mend it
            raise ConfigError(str(error)) from error
        server = Server(exchange, host=section.host, port=section.port, admin_port=section.admin_port)
        await server.start()
        self._server = server

    async def on_start(self) -> None:
        """Let the clock run."""
        self.spawn("clock", self._run_clock)

    async def _run_clock(self) -> None:
        try:
            await self.server.run()
        except EnvironmentFault as error:
            # Going on would make inputs that a restart forgets: the process ends and says why.
            self._fail(error)

    async def on_stop(self) -> None:
        """Close the ports."""
        if self._server is not None:
            await self._server.stop()

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the ports are open."""
        return self._server is not None, "" if self._server is not None else "the candles are being read"

    def details(self) -> Mapping[str, str | int | float | bool]:
        """Tell where the clock stands and what was traded."""
        if self._server is None:
            return {}
        venue = self._server.exchange.venue
        return {
            "port": self._server.port,
            "admin_port": self._server.admin_port,
            "clock_ms": venue.now_ms,
            "remaining": venue.replay.remaining,
            "fills": len(venue.book.trades),
        }

    def update_metrics(self) -> None:
        """Bring the simulator's own metrics up to date."""
        super().update_metrics()
        if self._server is None:
            return
        exchange = self._server.exchange
        self._count("simulator_steps_total", exchange.steps)
        for (path, code), number in self._server.edge.answered.items():
            self._count("simulator_requests_total", number, path, code)
        for symbol, number in Counter(trade.symbol for trade in exchange.venue.book.trades).items():
            self._count("simulator_fills_total", number, symbol)
        self.metrics.gauge("simulator_clock_seconds").set(exchange.venue.now_ms / 1000)
        for channel, number in self._server.hub.connections.items():
            self.metrics.gauge("simulator_connections").labels(channel).set(number)

    def _count(self, name: str, total: int, *labels: str) -> None:
        counter = self.metrics.counter(name)
        fresh = total - self._counted[name, *labels]
        if fresh > 0:
            (counter.labels(*labels) if labels else counter).inc(fresh)
            self._counted[name, *labels] = total


def venue_symbol(text: str) -> str:
    """Return the venue's spelling of a symbol: BTC-USDT.P and BTC/USDT:USDT are BTCUSDT."""
    return text.split(".", maxsplit=1)[0].split(":", maxsplit=1)[0].replace("-", "").replace("/", "").upper()


def options_of(settings: Settings) -> SimulatorOptions:
    """Read the simulator's section of the settings."""
    section = settings.simulator
    balance = section.starting_balance
    accounts = tuple(
        AccountSpec(
            uid=str(_FIRST_UID + number),
            key=key.key,
            secret=key.secret.get_secret_value(),
            passphrase=key.passphrase.get_secret_value(),
            usdt=balance,
            spot=(("USDT", balance),),
        )
        for number, key in enumerate(section.keys)
    )
    return SimulatorOptions(
        data=Path(section.data_dir) if section.data_dir else DATA,
        symbols=tuple(venue_symbol(symbol) for symbol in section.symbols),
        start=section.start,
        speed=0.0 if section.speed == "lockstep" else float(section.speed),
        seed=section.seed,
        slippage=section.slippage,
        spread=section.spread,
        limits=section.limits == "on",
        default_funding=section.funding_rate_default,
        state=section.state,
        hold=section.hold,
        accounts=accounts,
    )
