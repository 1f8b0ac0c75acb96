"""Every recorded answer and frame of the venue through an unmodified ccxt gives the stored result."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

_GAP_S = 0.05


def plain(value: Any) -> Any:
    """JSON form: what the stored results are made of."""
    return json.loads(json.dumps(value))


def contained(expected: Any, found: Any, where: str = "") -> None:
    """Every key of the expectation, lists of the same length, floats to 1e-9."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            contained(value, found[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), where
        for number, value in enumerate(expected):
            contained(value, found[number], f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-9), where
    else:
        assert found == expected, where


async def parsed(client: Any, case: dict[str, Any]) -> Any:
    async def answer(*_args: Any, **_more: Any) -> Any:
        return case["response"]

    client.fetch = answer
    return plain(await getattr(client, case["method"])(*case["args"]))


@pytest.mark.req("0.05", "0.31")
async def test_rest_answer_recorded_parses_as_stored(loaded: Any, rest_case: dict[str, Any]) -> None:
    assert len(loaded.markets) == 16

    assert await parsed(loaded, rest_case) == rest_case["parsed"]


@pytest.mark.req("0.05", "0.31")
async def test_rest_answer_with_independent_expectation_parses_as_expected(
    loaded: Any, known_case: dict[str, Any]
) -> None:
    contained(known_case["expect"], await parsed(loaded, known_case))


@pytest.mark.req("0.05", "0.31")
async def test_ws_frames_recorded_parse_as_stored(offline: Any, ws_case: dict[str, Any]) -> None:
    """The recorded frames come from a real socket, some 50 ms apart."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        replayed = list(ws_case["messages"])
        async for message in socket:
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            for frame in _acknowledged(replayed, json.loads(message.data)["op"]):
                await socket.send_str(json.dumps(frame))
                await asyncio.sleep(_GAP_S if "data" in frame else 0)
        return socket

    app = web.Application()
    app.router.add_get("/{tail:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    offline.urls["api"]["ws"] = dict.fromkeys(("public", "private", "utaPublic", "utaPrivate"), url)
    try:
        results = [
            plain(await asyncio.wait_for(getattr(offline, ws_case["method"])(*ws_case["args"]), 60))
            for _ in ws_case["parsed"]
        ]
    finally:
        await offline.close()
        await runner.cleanup()

    assert results == ws_case["parsed"]


def _acknowledged(frames: list[dict[str, Any]], operation: str) -> list[dict[str, Any]]:
    """Take from the recording what followed this operation: the login's answer, or acknowledgement and pushes."""
    if operation == "login":
        return [frames.pop(0)]
    taken, frames[:] = list(frames), []
    return taken
