"""The WebSocket half of the wire: connections, login, subscriptions, pushes. One hub an exchange, one session a socket.

The exchange hands it private frames and the moves of the clock; the server hands it sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import WSMsgType, web

from omega.telemetry import get_logger
from services.simulator import exposure, pushes, signature
from services.simulator.account import Account
from services.simulator.channels import PRIVATE, Arg, Stream, rank, read_arg
from services.simulator.exchange import Exchange
from services.simulator.faults import Fault, Faults, What
from services.simulator.instruments import Product
from services.simulator.limits import Bucket
from services.simulator.outbox import Channel, Private
from services.simulator.wire_json import BROKEN, dumps, loads

IDLE_SECONDS: Final = 120.0
"""A client that sends nothing, not even a ping, for so long is disconnected."""
MESSAGES_A_SECOND: Final = 10.0
_MESSAGE_BURST: Final = 40.0
_MOST_UNSENT: Final = 16 * 1024 * 1024
_NO_CHANNEL, _BAD_OP, _LOGIN_FIRST, _TOO_MANY, _BAD_MESSAGE = 30001, 30003, 30004, 30007, 30016

_LOGIN_TEXT: Final = {
    signature.LoginCode.KEY: "Invalid ACCESS_KEY",
    signature.LoginCode.PASSPHRASE: "Invalid ACCESS_PASSPHRASE",
    signature.LoginCode.TIMESTAMP: "Invalid ACCESS_TIMESTAMP",
    signature.LoginCode.SIGN: "Invalid sign",
}

log = get_logger(__name__)


class Session:
    """One socket of one client."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, *, private: bool) -> None:
        self.socket = socket
        self.private = private
        self.account: Account | None = None
        self.args: set[Arg] = set()
        self.silent_until = 0.0
        self.pushed = 0
        self._transport = request.transport
        now = time.monotonic()
        self.bucket = Bucket(MESSAGES_A_SECOND, _MESSAGE_BURST, _MESSAGE_BURST, now)

    async def send(self, text: str) -> bool:
        """Send one text; tell whether the socket took it. A client that reads nothing any more is cut off."""
        if self.silent_until > time.monotonic():
            return False
        try:
            await self.socket.send_str(text)
        except ConnectionError:
            return False
        if self._transport is not None and self._transport.get_write_buffer_size() > _MOST_UNSENT:
            log.warning("socket.cut_off", unsent=self._transport.get_write_buffer_size())
            self._transport.abort()
        return True

    async def push(self, text: str) -> bool:
        """Send one data frame and count it."""
        took = await self.send(text)
        self.pushed += took
        return took

    async def refuse(self, code: int, text: str, arg: object = None) -> None:
        """Send an error frame."""
        frame: dict[str, Any] = {"event": "error", "code": code, "msg": text}
        await self.send(dumps(frame if arg is None else frame | {"arg": arg}))


class Hub:
    """Every socket of one exchange."""

    def __init__(self, exchange: Exchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults
        self._late: set[asyncio.Task[None]] = set()
        self._sessions: set[Session] = set()
        self._streams: dict[Arg, Stream] = {}
        self._connections = 0

    async def serve(self, request: web.Request, *, private: bool) -> web.StreamResponse:
        """Serve one socket until it ends."""
        socket = web.WebSocketResponse(
            compress=False, receive_timeout=IDLE_SECONDS, writer_limit=2 * _MOST_UNSENT, autoping=True
        )
        await socket.prepare(request)
        session = Session(socket, request, private=private)
        self._sessions.add(session)
        try:
            await self._listen(session)
        finally:
            self._sessions.discard(session)
            self._forget_streams()
        return socket

    async def _listen(self, session: Session) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                message = await session.socket.receive()
                if message.type is not WSMsgType.TEXT:
                    return
                if self._exchange.options.limits and not session.bucket.take(time.monotonic()):
                    await session.refuse(_TOO_MANY, "request too many")
                    await session.socket.close()
                    return
                await self._hear(session, message.data)
        await session.socket.close()

    async def _hear(self, session: Session, text: str) -> None:
        if text == "ping":
            await session.send("pong")
            return
        try:
            message = loads(text)
            operation, args = message["op"], message["args"]
        except (*BROKEN, KeyError, TypeError):
            await session.refuse(_BAD_MESSAGE, "Param error")
            return
        if operation not in {"login", "subscribe", "unsubscribe"} or not isinstance(args, list):
            await session.refuse(_BAD_OP, "Illegal op")
            return
        for arg in args:
            if operation == "login":
                await self._login(session, arg)
            elif operation == "subscribe":
                await self._subscribe(session, arg)
            else:
                await self._unsubscribe(session, arg)

    async def _login(self, session: Session, arg: Any) -> None:
        given = arg if isinstance(arg, dict) else {}
        outcome = signature.verify_login(given, self._exchange.venue.accounts, time.time_ns() // 1_000_000)
        if isinstance(outcome, signature.LoginCode):
            await session.refuse(outcome, _LOGIN_TEXT[outcome])
            return
        session.account = outcome
        self._connections += 1
        await session.send(dumps({"event": "login", "code": 0, "connId": f"{self._connections:016x}"}))

    async def _subscribe(self, session: Session, raw: Any) -> None:
        arg = read_arg(raw)
        venue = self._exchange.venue
        if arg is None or (
            arg.channel not in PRIVATE and arg.inst_id not in venue.catalogue.of(Product(arg.inst_type))
        ):
            await session.refuse(_NO_CHANNEL, f"{dumps(raw)} doesn't exist", raw)
            return
        if arg.channel in PRIVATE and session.account is None:
            await session.refuse(_LOGIN_FIRST, "User needs to log in", raw)
            return
        await session.send(dumps({"event": "subscribe", "arg": raw}))
        session.args.add(arg)
        if arg.channel in PRIVATE:
            await self._first_state(session, arg)
            return
        stream = self._streams.get(arg)
        if stream is None:
            instrument = venue.catalogue.of(Product(arg.inst_type))[arg.inst_id]
            stream = self._streams[arg] = Stream(instrument, arg, traded_ms=venue.now_ms)
        frame = stream.first(venue)
        await session.push(self._text(arg, frame.action, frame.data))

    async def _first_state(self, session: Session, arg: Arg) -> None:
        if session.account is not None and arg.channel in {Channel.POSITIONS, Channel.ACCOUNT}:
            data = self._state(session.account.uid, Product(arg.inst_type), Channel(arg.channel))
            await session.push(self._text(arg, "snapshot", data))

    async def _unsubscribe(self, session: Session, raw: Any) -> None:
        arg = read_arg(raw)
        if arg is not None:
            session.args.discard(arg)
            self._forget_streams()
        await session.send(dumps({"event": "unsubscribe", "arg": raw}))

    def _forget_streams(self) -> None:
        wanted = set().union(*(session.args for session in self._sessions)) if self._sessions else set()
        for arg in [arg for arg in self._streams if arg not in wanted]:
            del self._streams[arg]

    async def private(self, frames: Iterable[Private]) -> int:
        """Send private frames to whoever is logged in and subscribed; return how many frames sockets took."""
        now, late = self._faults.bend(list(frames))
        for seconds, frame in late:
            task = asyncio.create_task(self._send_late(seconds, frame))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        return await self._send(now)

    async def _send_late(self, seconds: float, frame: Private) -> None:
        await asyncio.sleep(seconds)
        await self._send([frame])

    async def _send(self, frames: Iterable[Private]) -> int:
        sent = 0
        sessions = [session for session in self._sessions if session.account is not None]
        for frame in frames:
            for session in sessions:
                if session.account is None or session.account.uid != frame.uid:
                    continue
                for inst_id in ("default", frame.symbol):
                    arg = Arg(frame.product, frame.channel, inst_id)
                    if arg in session.args:
                        data = [frame.row] if frame.row else self._state(frame.uid, frame.product, frame.channel)
                        sent += await session.push(self._text(arg, "snapshot", data))
        return sent

    @property
    def private_seq(self) -> int:
        """How many data frames the private socket has had since it opened; of several the one with the fewest."""
        counts = [session.pushed for session in self._sessions if session.account is not None and session.args]
        return min(counts, default=0)

    @property
    def connections(self) -> dict[str, int]:
        """Open sockets by channel."""
        private = sum(session.private for session in self._sessions)
        return {"private": private, "public": len(self._sessions) - private}

    def _state(self, uid: str, product: Product, channel: Channel) -> list[pushes.Row]:
        venue = self._exchange.venue
        account = venue.by_uid[uid]
        if product is Product.SPOT:
            return pushes.spot_account(account.coins, venue.now_ms) if channel is Channel.ACCOUNT else []
        if channel is Channel.ACCOUNT:
            funds = account.funds(venue.last, venue.reserved(account))
            return [pushes.futures_account(funds, account, exposure.cross_risk(venue, account))]
        return [
            pushes.position(item, exposure.view(venue, account, item), venue.last(item.symbol))
            for item in account.positions.values()
        ]

    async def public(self) -> None:
        """Send every public channel what the last move of the clock brought."""
        for arg in sorted(self._streams, key=rank):
            stream = self._streams.get(arg)
            frame = stream.next(self._exchange.venue) if stream else None
            if frame is None:
                continue
            text = self._text(arg, frame.action, frame.data)
            for session in [session for session in self._sessions if arg in session.args]:
                await session.push(text)

    def _text(self, arg: Arg, action: str, data: list[Any]) -> str:
        return dumps({"action": action, "arg": arg.wire(), "data": data, "ts": self._exchange.venue.now_ms})

    async def apply(self, fault: Fault) -> int:
        """Close or silence the sockets that a fault names; return how many it hit."""
        hit = [session for session in self._sessions if fault.path in {"", "private" if session.private else "public"}]
        for session in hit:
            if fault.what is What.WS_SILENT:
                session.silent_until = time.monotonic() + fault.seconds
            else:
                await session.socket.close(code=1001, message=b"scripted")
        return len(hit)

    async def close(self) -> None:
        """Close every socket."""
        for task in self._late:
            task.cancel()
        # Together: a client that is gone without a word is waited for.
        closing = (session.socket.close(code=1001, message=b"shutting down") for session in self._sessions)
        await asyncio.gather(*closing, return_exceptions=True)

    def reset(self) -> None:
        """Forget what the subscribers have seen: the venue is a fresh one, its accounts too."""
        accounts = self._exchange.venue.accounts
        self._streams = {
            arg: Stream(stream.instrument, arg, traded_ms=self._exchange.venue.now_ms)
            for arg, stream in self._streams.items()
        }
        for session in self._sessions:
            if session.account is not None:
                session.account = accounts.get(session.account.spec.key)
