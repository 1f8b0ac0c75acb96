"""The small HTTP responder against well-behaved, broken and slow clients on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator

import pytest

from omega.errors import EnvironmentFault
from omega.runtime import HttpAnswer, HttpRequest, HttpServer, http

Server = tuple[HttpServer, int]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async def echo(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer.of_json(
            {"body": request.body.decode(), "query": request.query, "x": request.headers.get("x-a")}
        )

    async def broken(_request: HttpRequest) -> HttpAnswer:
        raise RuntimeError("a bug")

    made = HttpServer()
    made.route("GET", "/echo", echo)
    made.route("POST", "/echo", echo)
    made.route("GET", "/broken", broken)
    port = await made.start("127.0.0.1", 0)
    yield made, port
    await made.stop()


async def send(port: int, raw: bytes, *, close: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError):
        writer.write(raw)
        await writer.drain()
        if close:
            writer.write_eof()
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except OSError:
        return b""
    finally:
        writer.close()


async def test_http_get_and_post_are_answered(server: Server) -> None:
    _, port = server

    got = await send(port, b"GET /echo?a=1 HTTP/1.1\r\nHost: x\r\nX-A: yes\r\n\r\n")
    posted = await send(port, b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")

    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(got.partition(b"\r\n\r\n")[2]) == {"body": "", "query": "a=1", "x": "yes"}
    assert json.loads(posted.partition(b"\r\n\r\n")[2])["body"] == "hello"


async def test_http_head_has_no_body(server: Server) -> None:
    answer = await send(server[1], b"HEAD /echo HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
        (b"DELETE /echo HTTP/1.1\r\n\r\n", 405),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /echo\r\n\r\n", 400),
        (b"GET echo HTTP/1.1\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\n : x\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
async def test_http_broken_request_gets_its_status(server: Server, raw: bytes, status: int) -> None:
    answer = await send(server[1], raw)

    assert answer.split(b" ")[1] == str(status).encode()
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_http_client_that_hangs_up_early_is_told_so(server: Server) -> None:
    assert b" 400 " in await send(server[1], b"GET /ec", close=True)
    assert b" 400 " in await send(server[1], b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", close=True)


async def test_http_slow_client_is_dropped_and_others_are_served(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE_S", 0.1)
    _, port = server
    slow_reader, slow = await asyncio.open_connection("127.0.0.1", port)
    slow.write(b"GET /echo HT")

    assert b" 200 " in await send(port, b"GET /echo HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(slow_reader.read(), 60) == b""
    slow.close()


async def test_http_too_many_clients_are_turned_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CLIENTS", 2)
    _, port = server
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]

    answers = [await send(port, b"GET /echo HTTP/1.1\r\n\r\n")]
    for _, writer in held:
        writer.close()

    assert b" 503 " in answers[0]


async def test_http_garbage_never_stops_the_server(server: Server) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)

    for _ in range(60):
        raw = rng.randbytes(rng.randrange(1, 400))
        await send(server[1], raw if rng.random() < 0.5 else raw + b"\r\n\r\n", close=True)

    assert b" 200 " in await send(server[1], b"GET /echo HTTP/1.1\r\n\r\n")


async def test_http_port_in_use_is_named_with_the_next_step(server: Server) -> None:
    with pytest.raises(EnvironmentFault, match=rf"cannot listen on 127\.0\.0\.1:{server[1]}.*set another") as caught:
        await HttpServer().start("127.0.0.1", server[1])

    assert caught.value.exit_code == 3
