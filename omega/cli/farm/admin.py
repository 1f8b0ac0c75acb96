"""A small HTTP client on one kept connection for the simulator's admin port. Used by the lock-step conductor."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from omega.errors import TransientError


class AdminClient:
    """Sends JSON requests one after the other; a broken connection is dialled again by the next call."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send one request, with a JSON body where one is given, and return the JSON object of its answer.

        Raises:
            TransientError: nobody answers, the connection broke, or the answer is no success.
        """
        try:
            return await self._exchange(method, path, b"" if body is None else json.dumps(body).encode())
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await self.close()
            raise TransientError(f"the simulator's admin port {self._address[1]} does not answer: {error!r}") from error

    async def close(self) -> None:
        """Drop the connection."""
        if self._streams:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, method: str, path: str, sent: bytes) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        host = self._address[0]
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = 0
        for line in head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == "content-length":
                length = int(value)
        body = await reader.readexactly(length)
        answer: dict[str, Any] = json.loads(body or b"{}")
        status = head.split(" ", 2)[1]
        if not status.startswith("2"):
            raise TransientError(f"{method} {path} on the simulator's admin port answered {status}: {answer}")
        return answer
