"""What people tell the farm: halt, release, flatten, pause; and the gate: limit, halt or release of one scope.

Records on the control topics of the farm and of the gates, and `POST /kill` without Redis. Risk-reducing verbs always
work; `release` needs a named actor and a reason. Every command is applied once, by its id.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

from omega.bus.messages import RISK_REDUCING, Command, CommandResult, Verb
from omega.bus.port import Bus, Delivery
from omega.bus.topics import FARM, RISK
from omega.domain import EXTERNAL
from omega.errors import Denied, EnvironmentFault, OmegaError
from omega.resilience import ended
from omega.runtime.http import HttpAnswer, HttpRequest
from omega.runtime.kill import sign
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.adoption import adopt, part_to_close
from services.gateway.exchange_service import ExchangeService
from services.gateway.flattening import RUNNER_S, Flattener, Wish
from services.gateway.risk.levers import Levers
from services.gateway.standing import ORDERS

SERVICE: Final = "gateway"
KILL_WINDOW_S: Final = 60.0
"""How old a signed kill request may be."""
_RISKY_S: Final = 10.0
"""Age at which a command that adds risk is worthless."""
_FLAT_S: Final = 30.0
"""How long the answer to a kill request waits for flat books; they are worked on whether it waits or not."""
_NONCE_LENGTH: Final = 8
_SINCE: Final = "commands_since:"
_DISK_S: Final = 0.25
_HALTING: Final = frozenset({Verb.HALT, Verb.FLATTEN})

_log = get_logger(__name__)


class Commands:
    """Carries out commands for one account."""

    def __init__(
        self, account: Account, bus: Bus, exchange: ExchangeService, levers: Levers, flattener: Flattener
    ) -> None:
        self._account = account
        self._bus = bus
        self._levers = levers
        self._exchange = exchange
        self._flattener = flattener
        flattener.on_flat = self._flat
        flattener.on_given_up = self._given_up
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Consume the commands to the farm, to its gates and to each of its bots until cancelled."""
        for bot in self._account.settings.bots:
            if not self._since(bot):
                self._account.journal.put(_SINCE + bot, str(self._account.clock()))
        topics = [self._bus.topics.control(name) for name in (FARM, RISK, *sorted(self._account.settings.bots))]
        group = f"{SERVICE}:{self._account.venue_name}:{self._account.name}"
        async with self._bus.records(*topics, group=group) as batches:
            async for batch in batches:
                for delivery in batch:
                    await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        async with delivery:
            envelope = delivery.received.envelope
            if isinstance(envelope.data, Command):
                await self._insist(envelope.data, envelope.ts_ns)

    async def _insist(self, command: Command, sent_ns: int) -> None:
        """Carry a command out, again and again while the disk refuses: given back it would be a dead letter soon."""
        while True:
            try:
                await self.apply(command, sent_ns=sent_ns)
            except EnvironmentFault as error:
                _log.warning("command.not_written", verb=command.verb.value, actor=command.actor, error=str(error))
                await asyncio.sleep(_DISK_S)
            else:
                return

    async def apply(self, command: Command, *, sent_ns: int = 0) -> str:
        """Carry out one command once and tell its stages; return the last stage.

        Raises:
            EnvironmentFault: the journal cannot be written. A halt or a flatten has halted entries all the same.
        """
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
            if command.verb is Verb.FLATTEN and 0 < sent_ns < self._since(command.target):
                return self._too_old_to_close(command, late_s)
            return await self._carry_out(command)
        except Denied as error:
            return self._tell(command, "refused", str(error))
        except EnvironmentFault:
            if command.verb in _HALTING and command.target in {FARM, RISK}:
                account.halt_in_memory(_why(command))
            raise

    def _since(self, target: str) -> int:
        """Return since when this journal hears the commands to a bot, or to the farm; 0 when it always has.

        What the bus has kept from before may hold entries back and moves no position: the journal knew none then.
        """
        known = self._account.journal.values(_SINCE)
        return min(map(int, known.values()), default=0) if target == FARM else int(known.get(target, "0"))

    def _too_old_to_close(self, command: Command, late_s: float) -> str:
        """Carry out what an old flatten says of entries, and tell that it closes nothing."""
        words = f"it is {late_s:.0f} s old, from before this gateway first started: nothing is closed, flatten again"
        account = self._account
        self._stand(command)
        if command.target == FARM:
            account.halt.set(_why(command), by=command.actor, ts_ns=account.clock())
            return self._tell(command, "confirmed", f"entries are halted; {words}")
        return self._tell(command, "accepted", f"the gate refuses its entries; {words}")

    async def _carry_out(self, command: Command) -> str:
        if command.target == RISK:
            return self._to_the_gate(command)
        if command.verb is Verb.ADOPT:
            return await self._adopt(command)
        if command.verb in ORDERS:
            self._stand(command)
        return self._for_farm(command) if command.target == FARM else self._for_bot(command)

    def _stand(self, command: Command) -> None:
        """Keep what a verb leaves behind: the gate holds a pause also when the runner is dead or has forgotten it."""
        standing = self._account.standing
        for bot in self._account.settings.bots if command.target == FARM else (command.target,):
            standing.tell(bot, command.verb)
        self._spawn(self._show(), "standing")

    async def _show(self) -> None:
        """Show the standing orders to runners that start; the bus may be gone, which hinders no command."""
        try:
            await self._account.standing.show(self._bus)
        except OmegaError as error:
            _log.warning("standing.not_shown", error=str(error))

    async def close(self) -> None:
        """Give up what is still to be done for a command; it must not reach the venue after the gateway has left it."""
        await ended(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _for_bot(self, command: Command) -> str:
        """Stand behind the runner, which carries the command out by itself when it lives."""
        match command.verb:
            case Verb.PAUSE | Verb.DRAIN:
                return self._tell(command, "accepted", "the gate refuses its entries from now on")
            case Verb.RESUME:
                self._flattener.forget([command.target])
                return self._tell(command, "accepted", "the gate lets its entries through again")
            case Verb.FLATTEN:
                words = "the gate refuses its entries; what it holds is closed until the venue proves it flat"
                return self._bring_flat(command, [command.target], words, patience_s=RUNNER_S)
            case _:
                return self._tell(command, "accepted", "the runner carries it out")

    def _bring_flat(self, command: Command, bots: Iterable[str], words: str, *, patience_s: float = 0.0) -> str:
        """Write down who is to be flat together with the answer: neither survives a kill without the other."""
        wish = Wish(command.command_id, command.target, command.actor)
        with self._account.journal.transaction():
            self._flattener.want(bots, wish, patience_s=patience_s)
            return self._tell(command, "accepted", words)

    def _flat(self, wish: Wish) -> None:
        """Tell that the last bot of a command is flat, maybe in a later life than the one that took the command."""
        command = Command(wish.command_id, Verb.FLATTEN, wish.target, wish.actor, "")
        self._tell(
            command, "confirmed", "every book that was to be flat is" if wish.target == FARM else "its book is flat"
        )

    def _given_up(self, wish: Wish) -> None:
        """Tell that the last bot of a command that is not flat trades again."""
        command = Command(wish.command_id, Verb.FLATTEN, wish.target, wish.actor, "")
        self._tell(command, "refused", "given up: a resume lets it trade again, with what it holds")

    async def _adopt(self, command: Command) -> str:
        """Give an EXTERNAL position to a bot, or close it."""
        if not command.reason.strip():
            raise Denied("an adoption names its reason", rule="reason")
        if not command.params.get("close"):
            with self._account.journal.transaction():
                return self._tell(command, "confirmed", adopt(command, self._account))
        symbol, size = part_to_close(command, self._account)
        await self._exchange.close_external(symbol, size, reason=f"closed by {command.actor}")
        return self._tell(command, "applied", f"an order closes the external {size} {symbol}")

    def _for_farm(self, command: Command) -> str:
        account, ts, why = self._account, self._account.clock(), _why(command)
        match command.verb:
            case Verb.HALT:
                account.halt.set(why, by=command.actor, ts_ns=ts)
                return self._tell(command, "confirmed", "entries are halted, stops stay")
            case Verb.FLATTEN:
                account.halt.set(why, by=command.actor, ts_ns=ts)
                holders = (bot for (bot, _), book in account.books.items() if book.size)
                bots = {*account.settings.bots, *holders, *(order.bot for order in account.reserved())}
                return self._bring_flat(
                    command, bots - {str(EXTERNAL)}, "entries are halted, positions are being closed"
                )
            case Verb.RELEASE:
                if not command.reason.strip():
                    raise Denied("a release names its reason", rule="reason")
                freed = account.halt.release(command.reason, by=command.actor, ts_ns=ts)
                return self._tell(command, "confirmed", "entries are free" if freed else "nothing was halted")
            case Verb.RESUME:
                self._flattener.forget(self._flattener.wanted)
                return self._tell(command, "confirmed", "the gate lets the bots' entries through again")
            case _:
                return self._tell(command, "confirmed", "the bots carry it out, the gateway has nothing to do")

    def _to_the_gate(self, command: Command) -> str:
        """Carry out a command to the gates; one that means another account is that account's business."""
        if not self._levers.concerns(command):
            return "passed"
        deeds = {Verb.HALT: self._levers.halt, Verb.RELEASE: self._levers.release, Verb.LIMIT: self._levers.limit}
        deed = deeds.get(command.verb)
        if deed is None:
            raise Denied(f"the gate takes halt, release and limit, not {command.verb}", rule="verb")
        return self._tell(command, "confirmed", deed(command))

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
        return await self._kill(Command(f"kill:{nonce}", verb, FARM, actor, str(body.get("reason", ""))), nonce)

    async def _kill(self, command: Command, nonce: str) -> HttpAnswer:
        """Carry out a kill request that is well formed and signed; a full disk does not hinder its halt."""
        try:
            if not self._account.journal.use_nonce(nonce):
                return HttpAnswer.of_json({"error": "this request was carried out before"}, status=409)
            stage = await self.apply(command)
        except EnvironmentFault as error:
            self._account.halt_in_memory(_why(command))
            words = f"entries are halted and stops stay; nothing else was done and no position is closed: {error}"
            return HttpAnswer.of_json({"error": words, "halted": True}, status=503)
        if command.verb is Verb.FLATTEN:
            stage = await self._until_flat(command.command_id)
        return HttpAnswer.of_json({"stage": stage, "halted": self._account.halt.active})

    async def _until_flat(self, command_id: str) -> str:
        """Wait a while until nothing of a command is left to do; return how far it has come."""
        account = self._account
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLAT_S):
                await account.activity.until(lambda: self._flattener.done(command_id))
        return account.journal.command_stage(command_id)


def _why(command: Command) -> str:
    return f"{command.verb} by {command.actor}: {command.reason or 'no reason given'}"
