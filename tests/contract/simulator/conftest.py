"""Recorded wire cases of the venue, and clients to read them with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import ccxt.pro as ccxtpro
import pytest

REST = ["spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta"]
RECORDED = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / "bitget"


def recorded(name: str) -> list[dict[str, Any]]:
    """The cases of a file; empty when the recordings are not there (`present` says so loudly)."""
    path = RECORDED / name
    if not path.is_file():
        return []
    whole = json.loads(path.read_text(encoding="utf-8"))
    return whole if isinstance(whole, list) else next(v for v in whole.values() if isinstance(v, list))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, name in (
        ("rest_case", "rest_cases.json"),
        ("known_case", "recorded_cases.json"),
        ("ws_case", "ws_cases.json"),
    ):
        if fixture in metafunc.fixturenames:
            cases: list[Any] = list(recorded(name)) or [None]
            metafunc.parametrize(fixture, cases, ids=[case["id"] if case else "absent" for case in cases])


@pytest.fixture(autouse=True)
def present() -> None:
    if not RECORDED.is_dir():
        pytest.skip(
            f"recorded wire cases are absent: {RECORDED} (set OMEGA_SHARED_DATA to the folder that holds bitget/)"
        )


@pytest.fixture
def samples() -> list[dict[str, Any]]:
    return [sample for sample in recorded("samples.json") if sample["scope"] == "v2"]


@pytest.fixture
def rest_cases() -> dict[str, Any]:
    return {case["id"]: case for case in recorded("rest_cases.json")}


@pytest.fixture
def ws_cases() -> dict[str, Any]:
    return {case["id"]: case for case in recorded("ws_cases.json")}


def config(url: str, ws_url: str) -> dict[str, Any]:
    ws = {name: f"{ws_url}/v2/ws/{name}" for name in ("public", "private", "utaPublic", "utaPrivate")}
    return {
        "apiKey": "demo-key",
        "secret": "demo-secret",
        "password": "demo-pass",
        "timeout": 5000,
        "urls": {"api": {**dict.fromkeys(REST, url), "ws": ws, "demo": ws}},
        "options": {"uta": False, "defaultType": "swap", "fetchMarkets": {"types": ["swap", "spot"]}},
        "enableRateLimit": False,
        "enableLastJsonResponse": True,
    }


@pytest.fixture
def make_client() -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def make(url: str, ws_url: str) -> AsyncIterator[Any]:
        client = ccxtpro.bitget(config(url, ws_url))
        try:
            yield client
        finally:
            await client.close()

    return make


@pytest.fixture(scope="session")
def loaded() -> Any:
    """A client that has loaded the recorded markets once, for all tests."""
    raw: dict[str, Any] = json.loads((RECORDED / "markets.json").read_text(encoding="utf-8"))
    swaps = [*raw["swap"].values(), raw["swap_2025_06"]["SOL/USDT:USDT"]]

    async def markets(url: str, *_rest: Any, **_more: Any) -> Any:
        data: list[Any] = []
        if "spot/public/symbols" in url:
            data = list(raw["spot"].values())
        elif "mix/market/contracts" in url:
            quote = {"USDT-FUTURES": "USDT", "COIN-FUTURES": "USD"}.get(url.rpartition("productType=")[2])
            data = [item for item in swaps if item["quoteCoin"] == quote]
        return {"code": "00000", "msg": "success", "requestTime": 1, "data": data}

    async def load() -> Any:
        client = ccxtpro.bitget(config("http://offline", "ws://offline"))
        client.fetch = markets
        await client.load_markets()
        await client.close()
        return client

    return asyncio.run(load())


@pytest.fixture
async def offline(loaded: Any, make_client: Any) -> AsyncIterator[Any]:
    """A client with the recorded markets; its transport is a function that the test puts in place of `fetch`."""
    async with make_client("http://offline", "ws://offline") as client:
        client.set_markets_from_exchange(loaded)
        yield client
