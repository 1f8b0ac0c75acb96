"""One raw connection to the server: an asyncio protocol over hiredis, for the hot ways (send, subscribe).

It costs a fraction of a client's call; everything else goes through the pooled client of `omega.bus.endpoint`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from omega.bus.endpoint import Endpoint
from omega.errors import EnvironmentFault, TransientError

Reply = Any
Push = Callable[[list[Any]], None]
Orphan = tuple["asyncio.Future[Reply]", object]
Lost = Callable[["Wire", list[Orphan]], None]
"""Called when the connection breaks, with the tagged commands that have no answer, oldest first."""


_CLOSE_S = 1.0
_SENTINEL_S = 0.5
"""Time for one Sentinel; the next one is asked then."""


class WireLost(TransientError):  # noqa: N818 - what happened, like the other outcomes
    """The connection broke; what was sent on it may or may not have arrived."""


class ServerRefused(TransientError):  # noqa: N818 - what happened
    """The server answered a command with an error."""


class Wire(asyncio.Protocol):
    """A connection on which commands may be called one after another without waiting: answers come in order."""

    def __init__(self, endpoint: Endpoint, *, on_lost: Lost | None = None) -> None:
        self._endpoint = endpoint
        self._on_lost = on_lost
        self._push: Push | None = None
        self._corked: list[bytes] | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[Orphan] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        self.peer = endpoint.path or f"{endpoint.host}:{endpoint.port}"

    @property
    def open(self) -> bool:
        """Tell whether commands can be written."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, packed: bytes, tag: object = None) -> asyncio.Future[Reply]:
        """Write a packed command and return the future of its answer (a `hiredis.ReplyError` is an answer).

        When the connection breaks, a tagged command goes to `on_lost` and an untagged one fails with `WireLost`.

        Raises:
            WireLost: the connection is closed.
        """
        if self._transport is None or self._transport.is_closing():
            raise WireLost(f"the connection to {self._endpoint.shown} is closed")
        future = self._loop.create_future()
        self._waiting.append((future, tag))
        if self._corked is None:
            self._transport.write(packed)
        else:
            self._corked.append(packed)
        return future

    def cork(self) -> None:
        """Gather what is sent until `uncork`, which writes it at once. Nothing may be awaited in between."""
        self._corked = []

    def uncork(self) -> None:
        """Write what was gathered."""
        gathered, self._corked = self._corked or [], None
        if gathered and self._transport is not None:
            self._transport.write(b"".join(gathered))

    async def call(self, *words: bytes | str | int) -> Reply:
        """Send one command and return its answer.

        Raises:
            ServerRefused: the server answered with an error.
            WireLost: the connection broke.
        """
        reply = await self.send(pack(*words))
        if isinstance(reply, hiredis.ReplyError):
            raise ServerRefused(f"{self._endpoint.shown} refused {words[0]!r}: {reply}")
        return reply

    def listen(self, push: Push) -> None:
        """Hand every further answer to `push`: the connection becomes a subscriber."""
        self._push = push

    def write(self, packed: bytes) -> None:
        """Write on a subscriber's connection; the answer comes as a push."""
        if self._transport is None:
            raise WireLost(f"the connection to {self._endpoint.shown} is closed")
        self._transport.write(packed)

    def pause(self) -> None:
        """Stop reading: the server keeps what comes."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection without a good-bye."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close the connection and wait until it is closed; a server that takes nothing more is not waited for."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            await asyncio.wait({self._closed}, timeout=_CLOSE_S)
        finally:
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        # uvloop's transports do not derive from asyncio's classes, so their type cannot be asserted.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the answers out of what has arrived (called by asyncio)."""
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if self._push is not None:
                self._push(reply)
                continue
            future = waiting.popleft()[0]
            if not future.done():
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits (called by asyncio)."""
        self._transport = None
        if not self._closed.done():
            self._closed.set_result(None)
        lost = WireLost(f"the connection to {self._endpoint.shown} broke ({exc or 'closed by the server'})")
        orphans = [orphan for orphan in self._waiting if orphan[1] is not None]
        for future, tag in self._waiting:
            if tag is None and not future.done():
                future.set_exception(lost)
                future.exception()  # the caller may be gone: an unread exception must not be reported again
        self._waiting.clear()
        if self._on_lost is not None:
            self._on_lost(self, orphans)


def pack(*words: bytes | str | int) -> bytes:
    """Pack a command as the protocol wants it."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub knows a tuple of one word alone
    return packed


async def locate(endpoint: Endpoint) -> tuple[str, int]:
    """Return host and port of a server: its own, or those of the primary that the first answering Sentinel names.

    Raises:
        WireLost: no Sentinel answers, or none knows the name.
    """
    if not endpoint.sentinels:
        return endpoint.host, endpoint.port
    said = []
    for sentinel in endpoint.sentinels:
        try:
            wire = await dial(sentinel, name="omega", within_s=_SENTINEL_S)
        except (WireLost, EnvironmentFault) as error:
            said.append(str(error))
            continue
        try:
            async with asyncio.timeout(_SENTINEL_S):
                found = await wire.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", endpoint.primary)
        except (TransientError, TimeoutError) as error:
            said.append(f"{sentinel.shown}: {error}")
            continue
        finally:
            wire.abort()
        if found:
            return found[0].decode(), int(found[1])
        said.append(f"{sentinel.shown} watches no {endpoint.primary}")
    raise WireLost(f"no Sentinel names the primary {endpoint.primary} ({'; '.join(said)})")


async def _open(endpoint: Endpoint, name: str, within_s: float, on_lost: Lost | None) -> Wire:
    loop = asyncio.get_running_loop()
    wire = Wire(endpoint, on_lost=on_lost)
    greeted = False
    try:
        async with asyncio.timeout(within_s):
            if endpoint.path:
                await loop.create_unix_connection(lambda: wire, endpoint.path)
            else:
                host, port = await locate(endpoint)
                wire.peer = f"{host}:{port}"
                await loop.create_connection(lambda: wire, host, port, ssl=endpoint.tls)
            await _greet(wire, endpoint, name)
        greeted = True
    finally:
        if not greeted:  # a server that accepts and stays silent would keep the connection open for ever
            wire.abort()
    return wire


async def dial(endpoint: Endpoint, *, name: str, within_s: float, on_lost: Lost | None = None) -> Wire:
    """Open a connection, log in, choose the database.

    Raises:
        WireLost: the server is not reached in time.
        EnvironmentFault: the server refuses the login, lacks the database, or shows a certificate that is not its own.
    """
    try:
        return await _open(endpoint, name, within_s, on_lost)
    except ssl.SSLCertVerificationError as error:
        raise EnvironmentFault(
            f"{endpoint.shown} shows a certificate that is refused: {error.verify_message}; set redis.tls_ca_file to "
            "the authority that signed it, and call the server by the name in it"
        ) from error
    except (OSError, TimeoutError) as error:
        raise WireLost(f"{endpoint.shown} is not reached: {str(error) or f'silent for {within_s:g} s'}") from error


async def _greet(wire: Wire, endpoint: Endpoint, name: str) -> None:
    try:
        if endpoint.password:
            who = (endpoint.username,) if endpoint.username else ()
            await wire.call("AUTH", *who, endpoint.password)
        if endpoint.db:
            await wire.call("SELECT", endpoint.db)
        await wire.call("CLIENT", "SETNAME", name.replace(" ", "-"))
        await wire.call("PING")
        if endpoint.sentinels and (role := (await wire.call("ROLE"))[0]) != b"master":
            wire.abort()
            raise WireLost(f"{wire.peer} is a {role.decode()} and no primary yet")
    except ServerRefused as error:
        wire.abort()
        if "LOADING" in str(error):
            raise WireLost(f"{endpoint.shown} is still loading its data") from error
        raise EnvironmentFault(
            f"{error}; check the user, the password and the database number in redis.url (and the ACL of that user)"
        ) from error
