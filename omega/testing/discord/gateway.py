"""Gateway v10: sessions, identify, resume, heartbeats, dispatch, and the ways in which it breaks.

Served by the local Discord.
"""

import json
import secrets
import zlib
from collections import deque
from typing import Any, Final

import aiohttp
from aiohttp import web

from omega.testing.discord import payloads
from omega.testing.discord.bell import Bell
from omega.testing.discord.faults import Faults
from omega.testing.discord.log import Log
from omega.testing.discord.world import World

Json = dict[str, Any]
DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 3, 6, 7, 9, 10, 11
GUILDS, MEMBERS, PRESENCES, MESSAGES, CONTENT = 1 << 0, 1 << 1, 1 << 8, 1 << 9, 1 << 15
_PRIVILEGED: Final = MEMBERS | PRESENCES | CONTENT
_KEPT_FRAMES: Final = 1000
_FINAL_CLOSES: Final = frozenset({1000, 1001})


class Connection:
    """One socket: writes frames, compressed as the client asked, and can fall silent."""

    def __init__(self, socket: web.WebSocketResponse, *, zlib_stream: bool, log: Log) -> None:
        self.socket = socket
        self.silent = False
        self.closed_by_us: int | None = None
        self.session: Session | None = None
        self._deflate = zlib.compressobj() if zlib_stream else None
        self._log = log

    async def send(self, payload: Json) -> None:
        """Write one frame, unless the socket is silent or gone."""
        if self.silent or self.socket.closed:
            return
        self._log.frame(payload, sent=True)
        text = json.dumps(payload)
        try:
            if self._deflate is None:
                await self.socket.send_str(text)
            else:
                data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(data)
        except ConnectionError:
            return


class Session:
    """What survives a broken socket: the sequence and the frames that a RESUME replays."""

    def __init__(self, intents: int) -> None:
        self.id = secrets.token_hex(8)
        self.intents = intents
        self.seq = 0
        self.presence: Json | None = None
        self.connection: Connection | None = None
        self._frames: deque[Json] = deque(maxlen=_KEPT_FRAMES)

    async def dispatch(self, event: str, data: Json) -> None:
        """Number an event, keep it, and send it when a socket is there."""
        self.seq += 1
        frame = {"op": DISPATCH, "s": self.seq, "t": event, "d": data}
        self._frames.append(frame)
        if self.connection is not None:
            await self.connection.send(frame)

    async def replay(self, after: int) -> None:
        """Send again what came after a sequence number."""
        if self.connection is not None:
            for frame in [f for f in self._frames if f["s"] > after]:
                await self.connection.send(frame)


class Gateway:
    """All connections and sessions of this Discord."""

    def __init__(self, world: World, log: Log, faults: Faults, bell: Bell, *, heartbeat_s: float) -> None:
        self.sessions: dict[str, Session] = {}
        self.identifies = 0
        self.resumes = 0
        self._world = world
        self._log = log
        self._faults = faults
        self._heartbeat_ms = int(heartbeat_s * 1000)
        self._connections: set[Connection] = set()
        self._bell = bell

    @property
    def connected(self) -> list[Session]:
        """The sessions that have a socket right now."""
        return [s for s in self.sessions.values() if s.connection is not None]

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket from HELLO to its close."""
        socket = web.WebSocketResponse(compress=False, autoping=True)
        await socket.prepare(request)
        zlib_stream = request.query.get("compress") == "zlib-stream"
        connection = Connection(socket, zlib_stream=zlib_stream, log=self._log)
        self._connections.add(connection)
        resume_url = f"ws://{request.host}/gateway"
        try:
            await connection.send({"op": HELLO, "d": {"heartbeat_interval": self._heartbeat_ms}})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._frame(connection, json.loads(message.data), resume_url)
        finally:
            self._gone(connection)
        return socket

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        code = connection.closed_by_us or connection.socket.close_code
        self._log.closes.append(code)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if connection.closed_by_us is None and code in _FINAL_CLOSES:
                self.sessions.pop(session.id, None)
        self._bell.ring()

    async def _frame(self, connection: Connection, frame: Json, resume_url: str) -> None:
        self._log.frame(frame, sent=False)
        op, data = frame.get("op"), frame.get("d") or {}
        if op == HEARTBEAT:
            await connection.send({"op": ACK})
        elif op == IDENTIFY:
            await self._identify(connection, data, resume_url)
        elif op == RESUME:
            await self._resume(connection, data)
        elif op == PRESENCE and connection.session is not None:
            connection.session.presence = data
        elif connection.session is None:
            await connection.socket.close(code=4003, message=b"Not authenticated.")

    async def _identify(self, connection: Connection, data: Json, resume_url: str) -> None:
        self.identifies += 1
        if connection.session is not None:
            await connection.socket.close(code=4005, message=b"Already authenticated.")
            return
        if data.get("token") != self._world.token:
            await connection.socket.close(code=4004, message=b"Authentication failed.")
            return
        intents = int(data.get("intents", 0))
        if intents & _PRIVILEGED & ~self._world.approved_intents:
            await connection.socket.close(code=4014, message=b"Disallowed intent(s).")
            return
        session = connection.session = Session(intents)
        session.connection = connection
        self.sessions[session.id] = session
        await session.dispatch("READY", payloads.ready(self._world, session.id, resume_url))
        if not self._faults.hold_guilds:
            await self._announce_guild(session)
        self._bell.ring()

    async def _announce_guild(self, session: Session) -> None:
        if session.intents & GUILDS:
            with_members = bool(session.intents & MEMBERS)
            await session.dispatch("GUILD_CREATE", payloads.guild_create(self._world, with_members=with_members))

    async def _resume(self, connection: Connection, data: Json) -> None:
        session = self.sessions.get(str(data.get("session_id")))
        if session is None or data.get("token") != self._world.token:
            await connection.send({"op": INVALID, "d": False})
            return
        self.resumes += 1
        connection.session = session
        session.connection = connection
        await session.replay(int(data.get("seq") or 0))
        await session.dispatch("RESUMED", {"_trace": []})
        self._bell.ring()

    async def dispatch(self, event: str, data: Json, *, intent: int = 0) -> int:
        """Send an event to every session that has its intent; return how many there were."""
        sessions = [s for s in self.sessions.values() if s.intents & intent == intent]
        for session in sessions:
            await session.dispatch(event, data)
        return len(sessions)

    async def release_guilds(self) -> None:
        """Announce the guild that `hold_guilds` kept back."""
        self._faults.hold_guilds = False
        for session in self.sessions.values():
            await self._announce_guild(session)

    async def drop(self, code: int) -> None:
        """Close every socket with a code; sessions stay resumable."""
        for connection in list(self._connections):
            connection.closed_by_us = code
            await connection.socket.close(code=code)

    async def ask_reconnect(self) -> None:
        """Send op 7: the client has to come back and resume."""
        for connection in list(self._connections):
            await connection.send({"op": RECONNECT, "d": None})

    async def invalidate(self, *, resumable: bool) -> None:
        """Send op 9; when not resumable the sessions are gone and the client must identify anew."""
        if not resumable:
            self.sessions.clear()
        for connection in list(self._connections):
            await connection.send({"op": INVALID, "d": resumable})

    def silence(self) -> None:
        """Let the present sockets fall silent: no acknowledgement, no event, no close."""
        for connection in self._connections:
            connection.silent = True

    async def wait_connected(self, count: int = 1, within_s: float = 60.0) -> None:
        """Wait until this many sessions have a socket.

        Raises:
            TimeoutError: they did not come.
        """
        await self._bell.until(lambda: len(self.connected) == count, within_s)
