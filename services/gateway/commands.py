"""What people tell the farm: halt, release, flatten, pause; and the gate: limit, halt or release of one scope.

Records on the control topics of the farm and of the gates, and `POST /kill` without Redis. Risk-reducing verbs always
work; `release` needs a named actor and a reason. Every command is applied once, by its id.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import Final

import structlog

from omega.bus.messages import RISK_REDUCING, Command, CommandResult, Verb
from omega.bus.port import Bus, Delivery
from omega.bus.topics import FARM, RISK
from omega.errors import Denied
from omega.runtime.http import HttpAnswer, HttpRequest
from services.gateway.account import Account
from services.gateway.exchange_service import ExchangeService
from services.gateway.risk.desk import RiskDesk

SERVICE: Final = "gateway"
KILL_WINDOW_S: Final = 60.0
"""How old a signed kill request may be."""
_RISKY_S: Final = 10.0
"""Age at which a command that adds risk is worthless."""
_POLL_S: Final = 0.1
_FLAT_S: Final = 30.0
_NONCE_LENGTH: Final = 8

_log = structlog.get_logger(__name__)


class Commands:
    """Carries out commands for one account."""

    def __init__(self, account: Account, bus: Bus, exchange: ExchangeService, desk: RiskDesk) -> None:
        self._account = account
        self._bus = bus
        self._desk = desk
        self._exchange = exchange

    async def run(self) -> None:
        """Consume the farm's commands until cancelled."""
        topics = (self._bus.topics.control(FARM), self._bus.topics.control(RISK))
        group = f"{SERVICE}:{self._account.venue_name}:{self._account.name}"
        async with self._bus.records(*topics, group=group) as batches:
            async for batch in batches:
                for delivery in batch:
                    await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        async with delivery:
            envelope = delivery.received.envelope
            if isinstance(envelope.data, Command):
                await self.apply(envelope.data, sent_ns=envelope.ts_ns)

    async def apply(self, command: Command, *, sent_ns: int = 0) -> str:
        """Carry out one command once and tell its stages; return the last stage."""
        account = self._account
        before = account.journal.command_stage(command.command_id)
        if before:
            return before
        if not (command.actor.strip() and command.command_id):
            return self._tell(command, "refused", "a command names who gives it")
        late_s = (account.clock() - sent_ns) / 1e9 if sent_ns else 0.0
        if command.verb not in RISK_REDUCING and late_s > _RISKY_S:
            return self._tell(command, "refused", f"it is {late_s:.0f} s old; give it again")
        try:
            return await self._carry_out(command)
        except Denied as error:
            return self._tell(command, "refused", str(error))

    async def _carry_out(self, command: Command) -> str:
        if command.target == RISK:
            return self._to_the_gate(command)
        account, ts = self._account, self._account.clock()
        why = f"{command.verb} by {command.actor}: {command.reason or 'no reason given'}"
        match command.verb:
            case Verb.HALT:
                account.halt.set(why, by=command.actor, ts_ns=ts)
                return self._tell(command, "confirmed", "entries are halted, stops stay")
            case Verb.FLATTEN:
                account.halt.set(why, by=command.actor, ts_ns=ts)
                self._tell(command, "accepted", "entries are halted, positions are being closed")
                return await self._flatten(command)
            case Verb.RELEASE:
                if not command.reason.strip():
                    raise Denied("a release names its reason", rule="reason")
                freed = account.halt.release(command.reason, by=command.actor, ts_ns=ts)
                return self._tell(command, "confirmed", "entries are free" if freed else "nothing was halted")
            case _:
                return self._tell(command, "confirmed", "the bots carry it out, the gateway has nothing to do")

    def _to_the_gate(self, command: Command) -> str:
        """Carry out a command to the gates; one that means another account is that account's business."""
        if not self._desk.concerns(command):
            return "passed"
        deeds = {Verb.HALT: self._desk.halt, Verb.RELEASE: self._desk.release, Verb.LIMIT: self._desk.limit}
        deed = deeds.get(command.verb)
        if deed is None:
            raise Denied(f"the gate takes halt, release and limit, not {command.verb}", rule="verb")
        return self._tell(command, "confirmed", deed(command))

    async def _flatten(self, command: Command) -> str:
        """Close every book, reduce-only at market, and wait until the books say so."""
        symbols = sorted(self._account.books.symbols())
        for symbol in symbols:
            await self._exchange.close_position(symbol, reason=f"flatten by {command.actor}")
        until = time.monotonic() + _FLAT_S
        while time.monotonic() < until:
            if not any(self._held(symbol) for symbol in symbols):
                return self._tell(command, "confirmed", "every book is flat")
            await asyncio.sleep(_POLL_S)
        return self._tell(command, "applied", "the closing orders are at the venue and not filled yet")

    def _held(self, symbol: str) -> bool:
        return any(bot != "external" for bot in self._account.books.open(symbol))

    def _tell(self, command: Command, stage: str, detail: str) -> str:
        result = CommandResult(command.command_id, SERVICE, command.target, stage, detail)
        with self._account.journal.transaction():
            self._account.journal.put_command(command.command_id, stage, detail)
            self._account.journal.emit(f"command:{SERVICE}:{command.command_id}:{stage}", result)
        _log.info("command.carried_out", verb=command.verb.value, actor=command.actor, stage=stage, detail=detail)
        return stage

    # the way without Redis --------------------------------------------------------------------------------------------

    async def kill(self, request: HttpRequest) -> HttpAnswer:
        """Answer `POST /kill`: a signed body {verb: halt|flatten, actor, reason, ts, nonce}, each nonce once."""
        key = self._account.settings.gateway.kill_key.get_secret_value()
        if not key:
            return HttpAnswer.of_json({"error": "closed: set the secret gateway.kill_key to open this way"}, status=404)
        given = request.headers.get("x-omega-signature", "")
        if not hmac.compare_digest(sign(key, request.body), given):
            return HttpAnswer.of_json({"error": "the signature does not fit the body"}, status=401)
        try:
            body = json.loads(request.body)
            verb, actor = Verb(body["verb"]), str(body["actor"])
            nonce, age_s = str(body["nonce"]), abs(time.time() - float(body["ts"]))
        except (ValueError, KeyError, TypeError):
            return HttpAnswer.of_json({"error": "send verb, actor, reason, ts and nonce as a JSON object"}, status=400)
        if verb not in {Verb.HALT, Verb.FLATTEN} or age_s > KILL_WINDOW_S or len(nonce) < _NONCE_LENGTH:
            return HttpAnswer.of_json(
                {"error": "only halt or flatten, signed within a minute, with a long nonce"}, status=400
            )
        if not self._account.journal.use_nonce(nonce):
            return HttpAnswer.of_json({"error": "this request was carried out before"}, status=409)
        command = Command(f"kill:{nonce}", verb, FARM, actor, str(body.get("reason", "")))
        stage = await self.apply(command)
        return HttpAnswer.of_json({"stage": stage, "halted": self._account.halt.active})


def sign(key: str, body: bytes) -> str:
    """Return the signature of a kill request: hex HMAC-SHA256 over the body."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
