"""A small HTTP/1.1 responder on asyncio: exact paths, short requests, no framework. Used by the health port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from omega.errors import EnvironmentFault
from omega.resilience import ended
from omega.telemetry import get_logger

logger = get_logger(__name__)

HEAD_LIMIT = 8 * 1024
BODY_LIMIT = 64 * 1024
PATIENCE_S = 5.0
"""How long a client may take to send its request, and again to read the answer."""
CLIENTS = 64
"""Clients at a time that are served; as many more are turned away with 503, and the rest is cut off."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, wholly read. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of_json(value: object, *, status: int = 200) -> HttpAnswer:
        """Answer with a JSON document."""
        return HttpAnswer(status=status, body=json.dumps(value, default=str).encode() + b"\n")


HttpHandler = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class _BadRequest(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class HttpServer:
    """Serves exact (method, path) pairs; every connection carries one request and is closed."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], HttpHandler] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def route(self, method: str, path: str, handler: HttpHandler) -> None:
        """Answer a path; a later handler of the same pair replaces the earlier one."""
        self._routes[method, path] = handler

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port.

        Raises:
            EnvironmentFault: the port is taken or the address is not of this machine.
        """
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_LIMIT)
        except OSError as error:
            why = error.strerror or str(error)
            raise EnvironmentFault(
                f"cannot listen on {host}:{port} ({why}): stop what uses the port, or set another (0: any free one)"
            ) from None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop clients that are still being served."""
        if self._server is None:
            return
        self._server.close()
        await ended(self._clients)
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= 2 * CLIENTS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="http.client")
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError, TimeoutError):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    answer, head_only = await self._respond(reader)
                async with asyncio.timeout(PATIENCE_S):
                    writer.write(_wire(answer, head_only=head_only))
                    await writer.drain()
            finally:
                writer.close()

    async def _respond(self, reader: asyncio.StreamReader) -> tuple[HttpAnswer, bool]:
        try:
            request = await _read(reader)
            handler = self._find(request)
        except _BadRequest as bad:
            return HttpAnswer.of_json({"error": str(bad)}, status=bad.status), False
        try:
            return await handler(request), request.method == "HEAD"
        except Exception as error:  # supervisor of requests: a bad handler must not close the port
            logger.exception("http.handler_failed", path=request.path, error=f"{type(error).__name__}: {error}")
            return HttpAnswer.of_json({"error": f"{type(error).__name__}: see the log"}, status=500), False

    def _find(self, request: HttpRequest) -> HttpHandler:
        if len(self._clients) > CLIENTS:
            raise _BadRequest(503, "too many clients: come back in a moment")
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._routes.get((method, request.path))
        if handler is not None:
            return handler
        known = sorted({path for _, path in self._routes})
        if request.path in known:
            raise _BadRequest(405, f"{request.path} does not answer {request.method}")
        raise _BadRequest(404, f"no such path: there are {', '.join(known)}")


async def _read(reader: asyncio.StreamReader) -> HttpRequest:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _BadRequest(431, f"the request head is longer than {HEAD_LIMIT} bytes") from None
    except asyncio.IncompleteReadError:
        raise _BadRequest(400, "the request ends in the middle of its head") from None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, protocol = rest.partition(" ")
    if not method.isalpha() or not target.startswith("/") or not protocol.startswith("HTTP/1."):
        raise _BadRequest(400, "the request line is no HTTP/1.1")
    headers = _headers(lines)
    path, _, query = target.partition("?")
    return HttpRequest(method.upper(), path, query, headers, await _body(reader, headers))


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _BadRequest(400, "a header line has no name")
        headers[name.lower()] = value.strip()
    return headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise _BadRequest(411, "send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise _BadRequest(400, "the Content-Length is no number")
    if int(length) > BODY_LIMIT:
        raise _BadRequest(413, f"the body is longer than {BODY_LIMIT} bytes")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        raise _BadRequest(400, "the body is shorter than its Content-Length") from None


def _wire(answer: HttpAnswer, *, head_only: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if head_only else head + answer.body
