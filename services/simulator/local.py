"""A simulator inside this process, on free ports: for tests and examples. The service starts the same server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from omega.resilience import ended
from services.simulator.candles import Candles
from services.simulator.exchange import Exchange, load_exchange
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server


@contextlib.asynccontextmanager
async def local_simulator(
    options: SimulatorOptions | None = None, series: Mapping[str, Candles] | None = None
) -> AsyncIterator[Server]:
    """Open a simulator on free ports and close it at the end; lock-step without limits unless told otherwise.

    Args:
        options: how it behaves.
        series: candles to replay instead of those in `options.data`.
    """
    chosen = options or SimulatorOptions(speed=0, limits=False)
    exchange = load_exchange(chosen) if series is None else Exchange(chosen, dict(series))
    server = Server(exchange, host="127.0.0.1", port=0, admin_port=0)
    await server.start()
    clock = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        try:
            await ended([clock])
        finally:
            await server.stop()
