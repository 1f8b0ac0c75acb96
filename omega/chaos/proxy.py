"""A small TCP proxy before the Redis server, one a process: the lab makes it slow, cuts it, or lets nothing through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit

from omega.resilience import ended

_CHUNK = 65_536
_LOOK_S = 0.02


class RedisProxy:
    """Passes bytes between one process and the server.

    Attributes:
        late_s: how late every chunk is, in each direction.
        cut: nothing passes: open connections stand still, new ones too, as behind a broken switch.
    """

    def __init__(self, upstream: Callable[[], str]) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.late_s = 0.0
        self.cut = False
        self.port = 0

    @property
    def url(self) -> str:
        """Where the process behind it finds its server."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def heal(self) -> None:
        """Let everything pass at once."""
        self.late_s, self.cut = 0.0, False

    def reset(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """Stop listening and break every connection."""
        if self._server is not None:
            self._server.close()
        self.reset()
        await ended(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._dial()
        self._writers.add(far_writer)
        ways = (
            asyncio.create_task(self._pass(reader, far_writer)),
            asyncio.create_task(self._pass(far_reader, writer)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(ways)
            self._writers.discard(far_writer)
            far_writer.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self._upstream())
        if address.scheme == "unix":
            return await asyncio.open_unix_connection(address.path)
        return await asyncio.open_connection(address.hostname, address.port)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self.late_s:
                    await asyncio.sleep(self.late_s)
                while self.cut:  # noqa: ASYNC110 - a state of the lab, looked at while it lasts
                    await asyncio.sleep(_LOOK_S)
                writer.write(chunk)
                await writer.drain()
