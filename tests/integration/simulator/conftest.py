"""A simulator on free ports and unmodified ccxt clients of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import ccxt.pro as ccxtpro
import pytest

from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server

REST = ["spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta"]


def client_config(rest_url: str, ws_url: str, **changes: Any) -> dict[str, Any]:
    ws = {name: f"{ws_url}/v2/ws/{name}" for name in ("public", "private", "utaPublic", "utaPrivate")}
    return {
        "apiKey": "demo-key",
        "secret": "demo-secret",
        "password": "demo-pass",
        "timeout": 5000,
        "urls": {"api": {**dict.fromkeys(REST, rest_url), "ws": ws, "demo": ws}},
        "options": {"uta": False, "defaultType": "swap", "fetchMarkets": {"types": ["swap", "spot"]}},
        "enableRateLimit": False,
        "enableLastJsonResponse": True,
        **changes,
    }


@contextlib.asynccontextmanager
async def _client(server: Server, **changes: Any) -> AsyncIterator[Any]:
    client = ccxtpro.bitget(client_config(server.url, server.ws_url, **changes))
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def make_client() -> Callable[..., Any]:
    return _client


@pytest.fixture
async def lockstep() -> AsyncIterator[Server]:
    async with local_simulator(SimulatorOptions(speed=0, limits=False)) as server:
        yield server


@pytest.fixture
async def running() -> AsyncIterator[Server]:
    async with local_simulator(SimulatorOptions(speed=60, limits=False)) as server:
        yield server


@pytest.fixture
def admin() -> Callable[..., Any]:
    async def call(server: Server, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{server.admin_url}{path}", json=body) as answer,
        ):
            return await answer.json()

    return call
