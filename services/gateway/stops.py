"""The stop as a resource: every position has its reduce-only stop at the venue, of its size, once.

The stop keeper sees to it. It looks after every fill, stop event and reconnect and on a timer, reads what stands,
adopts the children of presets, and brings what stands to what should (`protection`): raised first, lowered after.
What the venue cannot carry it watches itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from omega.bus.messages import StopEvent, StopState
from omega.domain import EXTERNAL, Role, client_id
from omega.errors import OmegaError, Rejected, Unresolved
from omega.resilience import Lane
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.classify import RefusalKind
from services.gateway.protection import (
    Deed,
    Holder,
    Wanted,
    adopt,
    covered,
    deeds,
    must_wait,
    stop_sizes,
    unguarded,
    unwatched,
    wanted,
)
from services.gateway.rows import JournalPlan
from services.gateway.turns import GATEWAY
from services.gateway.venue import EVERY_PLAN, ROLE_OF_PLAN, PlanKind, PlanOrder, PlanRequest, Trade, closing_side

ZERO: Final = Decimal(0)
_PASSES: Final = 4
_RETRY_S: Final = 0.25
_AGAIN_S: Final = 1.0

_log = get_logger(__name__)


class _Outcome(StrEnum):
    """What came of a deed."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class StopKeeper:
    """Keeps the stops of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._busy = False
        self._why = ""
        self._plans: dict[str, PlanOrder] = {}
        self._naked_since: dict[tuple[str, str], float] = {}
        self._fired: deque[PlanOrder] = deque(maxlen=32)
        self._naked_max = 0.0
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""

    # what others ask ------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left to look at."""
        return not self._busy and not self._wake.is_set()

    def request(self, why: str) -> None:
        """Ask for a look, soon."""
        self._why = why
        self._wake.set()

    def naked_s(self, bot: str, symbol: str) -> float:
        """Return for how long a position has been without its whole stop."""
        since = self._naked_since.get((bot, symbol))
        return 0.0 if since is None else time.monotonic() - since

    @property
    def naked_max_s(self) -> float:
        """The longest time that any position has been without its whole stop."""
        return max([self._naked_max, *(self.naked_s(*key) for key in self._naked_since)])

    def stop_of(self, bot: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Return size and trigger of a bot's live stops, as last read."""
        owners = self._owners()
        mine = [
            plan
            for plan in self._plans.values()
            if plan.kind is PlanKind.STOP and plan.symbol == symbol and owners.get(plan.order_id, ("",))[0] == bot
        ]
        return sum((plan.size for plan in mine), ZERO), mine[0].trigger if mine else ZERO

    def load(self) -> None:
        """Take the longest naked time of former lives from the journal."""
        self._naked_max = float(self._account.journal.get("naked_s_max", "0"))

    # what is heard --------------------------------------------------------------------------------------------------

    def note(self, plan: PlanOrder) -> None:
        """Take note of a stop that fired, before the executions that came with it are booked."""
        if plan.fired:
            self._fired.append(plan)

    def hear(self, plan: PlanOrder) -> None:
        """Take a push about a trigger order; why one has gone without firing, the next look finds out."""
        if plan.live:
            self._plans[plan.order_id] = plan
        else:
            self._plans.pop(plan.order_id, None)
            known = self._account.journal.plan(plan.client_id, plan.order_id)
            if plan.fired and known is not None and known.live:
                self._gone(known, StopState.FIRED)
        self.request("plan")

    def fired_for(self, trade: Trade) -> tuple[str, Role] | None:
        """Return bot and role for an execution of a stop that fired before any look had found it."""
        for plan in reversed(self._fired):
            same = plan.client_id == trade.client_id or plan.size == trade.size
            if plan.symbol == trade.symbol and plan.side is trade.side and same:
                holder = self._guarded_by(plan)
                if holder is not None:
                    known = self._own(holder, plan)
                    self._gone(known, StopState.FIRED)
                    return holder[0], ROLE_OF_PLAN.get(plan.kind, Role.STOP)
        return None

    def _guarded_by(self, plan: PlanOrder) -> Holder | None:
        """Return bot and leg whose guard has this trigger and whose position this plan closes."""
        known = self._account.journal.plan(plan.client_id, plan.order_id)
        if known is not None:
            return known.bot, known.leg
        for guard in self._account.journal.guards(plan.symbol):
            if guard.side * plan.side.sign < 0 and plan.trigger in {guard.stop, guard.target}:
                return guard.bot, guard.leg
        return None

    # the look -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look whenever asked, until cancelled."""
        while True:
            await self._wake.wait()
            self._busy = True
            try:
                await self.look()
            except OmegaError as error:
                _log.warning("stops.not_read", why=str(error)[:200])
                self._wake.set()
                await asyncio.sleep(_RETRY_S)
            finally:
                self._busy = False
                self._account.activity.changed()

    async def look(self, *, every: bool = False) -> None:
        """Read what stands, adopt, and do what is missing, until nothing is.

        One look at a time: a reconciliation looks too, and would send again what another has sent and not heard of.

        Raises:
            TransientError: the venue did not answer; ask again.
        """
        async with self._turn:
            for _ in range(_PASSES):
                self._wake.clear()
                await self._read(every=every)
                symbols = sorted(self._account.books.symbols() | {plan.symbol for plan in self._plans.values()})
                done = [await self._mend(symbol) for symbol in symbols]
                if not any(done) and not self._wake.is_set():
                    return

    async def _read(self, *, every: bool) -> None:
        async with self._account.turns.read(Lane.STOP, call=EVERY_PLAN if every else "plans"):
            plans = await self._account.venue.plans(every=every)
        now = {plan.order_id: plan for plan in plans}
        others = {} if every else {k: p for k, p in self._plans.items() if p.kind is PlanKind.OTHER and k not in now}
        self._plans = {**others, **now}
        for known in self._account.journal.live_plans():
            if known.order_id and known.order_id not in self._plans:
                legs = {guard.leg for guard in self._account.journal.guards(known.symbol, known.bot)}
                self._gone(known, StopState.MISSING if known.leg in legs else StopState.REMOVED)
            elif not known.order_id:
                self._resolve(known)
        self._claim_late()

    def _claim_late(self) -> None:
        """Own stops of ours that stand though they did not count any more: they came after their replacement."""
        owners = self._owners()
        for plan in self._plans.values():
            known = self._account.journal.plan(plan.client_id) if plan.order_id not in owners else None
            if known is not None:
                self._own((known.bot, known.leg), plan)

    def _resolve(self, known: JournalPlan) -> None:
        """Settle a stop whose placing was not answered: it stands, or it does not count."""
        found = next((plan for plan in self._plans.values() if plan.client_id == known.client_id), None)
        if found is None:
            self._account.journal.put_plan(replace(known, live=False))
        else:
            self._own((known.bot, known.leg), found)

    async def _mend(self, symbol: str) -> bool:
        """Adopt and do the deeds of one symbol; True when something changed at the venue."""
        account = self._account
        if account.instrument(symbol) is None:
            return False
        sizes, net, wants = self._wishes(symbol)
        plans = [plan for plan in self._plans.values() if plan.symbol == symbol]
        for order_id, holder in adopt(wants, plans, self._owners(), net).items():
            self._own(holder, self._plans[order_id])
        todo = deeds(wants, plans, self._owners(), external=sizes.get(str(EXTERNAL), ZERO), net=net)
        self._measure(symbol, sizes, wants)
        changed, lacking = False, set[PlanKind]()
        for deed in todo:
            if must_wait(deed, lacking, net):
                continue
            outcome = await self._do(symbol, deed, net)
            changed |= outcome is not _Outcome.REFUSED
            if deed.raises and outcome is not _Outcome.DONE:
                lacking.add(deed.kind)
        await self._close_unguarded(symbol)
        return changed

    async def _close_unguarded(self, symbol: str) -> None:
        """Close what no entry has opened, when it has lasted: news that come out of order make it for a moment."""
        account, limit_s = self._account, self._account.settings.gateway.naked_close_s
        for bot, part in unguarded(account.books.open(symbol), account.journal.guards(symbol)).items():
            left_s = limit_s - self.naked_s(bot, symbol)
            if left_s <= 0 and self.close_out is not None:
                _log.error("position.unguarded", bot=bot, symbol=symbol, size=str(part))
                await self.close_out(bot, symbol, part, "no entry of its own has opened it")
            self._look_later("a position has no stop of its own", after_s=max(left_s, _AGAIN_S))

    def _wishes(self, symbol: str) -> tuple[dict[str, Decimal], Decimal, list[Wanted]]:
        sizes = self._account.books.open(symbol)
        return sizes, self._account.books.net(symbol), wanted(sizes, self._account.journal.guards(symbol))

    # deeds ----------------------------------------------------------------------------------------------------------

    async def _do(self, symbol: str, deed: Deed, net: Decimal) -> _Outcome:
        try:
            rest = await self._change(symbol, deed, net)
        except Rejected as error:
            _log.warning("stop.refused", bot=deed.bot, symbol=symbol, why=str(error)[:300])
            return await self._refused(symbol, deed, net, error)
        except Unresolved as error:
            _log.warning("stop.unresolved", bot=deed.bot, symbol=symbol, why=str(error)[:300])
            self._look_later("a stop has no proven outcome")
            return _Outcome.UNKNOWN
        if rest is not None:
            await self._do(symbol, rest, net)
        return _Outcome.DONE

    async def _change(self, symbol: str, deed: Deed, net: Decimal) -> Deed | None:
        """Do a deed and return what is left of it: a venue that does not resize gets a new one beside the old one."""
        try:
            await self._request(symbol, deed, net)
        except Rejected as error:
            if error.kind != RefusalKind.MODE or not deed.resizes:
                raise
            await self._request(symbol, replace(deed, plan=None), net)
            return replace(deed, size=ZERO)
        return None

    async def _request(self, symbol: str, deed: Deed, net: Decimal) -> None:
        async with self._account.turns.order(Lane.STOP, bot=deed.bot or GATEWAY):
            if deed.plan is None:
                await self._place(symbol, deed, net)
            elif deed.size:
                await self._resize(deed, deed.plan)
            else:
                await self._cancel(deed, deed.plan)

    async def _place(self, symbol: str, deed: Deed, net: Decimal) -> None:
        """Place a stop of the next generation: journalled before it is sent."""
        account = self._account
        stop = deed.kind is PlanKind.STOP
        with account.journal.transaction():
            number = account.journal.next_generation(deed.bot, symbol)
            name = client_id(f"{deed.bot}:{symbol}:{number}", prefix="s" if stop else "t")
            plan = _journalled(deed, symbol, name)
            account.journal.put_plan(plan)
        request = PlanRequest(name, symbol, closing_side(net), deed.size, deed.trigger, deed.kind)
        try:
            ack = await account.venue.place_plan(request)
        except Rejected:
            account.journal.put_plan(replace(plan, live=False))
            raise
        with account.journal.news():
            account.journal.put_plan(replace(plan, order_id=ack.order_id))
            if stop:
                self._tell(replace(plan, order_id=ack.order_id), StopState.PLACED)
        _log.info("stop.placed", bot=deed.bot, symbol=symbol, size=str(deed.size), trigger=str(deed.trigger))

    async def _resize(self, deed: Deed, plan: PlanOrder) -> None:
        account = self._account
        await account.venue.resize_plan(plan, deed.size, deed.trigger)
        known = account.journal.plan(plan.client_id, plan.order_id)
        if known is not None:
            moved = replace(known, size=deed.size, trigger=deed.trigger)
            with account.journal.news():
                account.journal.put_plan(moved)
                if plan.kind is PlanKind.STOP:
                    self._tell(moved, StopState.MOVED)
        before, after = f"{plan.size} at {plan.trigger}", f"{deed.size} at {deed.trigger}"
        _log.info("stop.moved", bot=deed.bot, symbol=plan.symbol, before=before, after=after)

    async def _cancel(self, deed: Deed, plan: PlanOrder) -> None:
        account = self._account
        done = await account.venue.cancel_plan(plan)
        known = account.journal.plan(plan.client_id, plan.order_id)
        if done and known is not None and known.live:
            with account.journal.news():
                account.journal.put_plan(replace(known, live=False))
                if plan.kind is PlanKind.STOP:
                    self._tell(known, StopState.REMOVED)
        _log.info("stop.cancelled", bot=deed.bot, symbol=plan.symbol, size=str(plan.size), confirmed=done)

    async def _refused(self, symbol: str, deed: Deed, net: Decimal, error: Rejected) -> _Outcome:
        """Do what is safe when the venue refuses a stop: close what should have fired, try another way, or close."""
        if deed.kind is not PlanKind.STOP or not deed.raises or self.close_out is None:
            return _Outcome.REFUSED
        price = self._account.price(symbol)
        if price and (price - deed.trigger) * (1 if net > 0 else -1) <= 0:
            await self._close(symbol, deed, net, f"the stop {deed.trigger} lies behind the price: {error.code}")
        elif deed.moves and error.kind != RefusalKind.GONE:
            # This venue does not move stops: a new one beside the old one, which the next pass takes away.
            return await self._do(symbol, replace(deed, plan=None), net)
        elif self.naked_s(deed.bot, symbol) >= self._account.settings.gateway.naked_close_s:
            words = f"the venue refuses the stop of {deed.bot} in {symbol}: {error.code or str(error)[:200]}"
            self._account.halt_entries(words)
            await self._close(symbol, deed, net, words)
        self._look_later("a stop was refused")
        return _Outcome.REFUSED

    def _look_later(self, why: str, *, after_s: float = _RETRY_S) -> None:
        asyncio.get_running_loop().call_later(after_s, self.request, why)

    async def _close(self, symbol: str, deed: Deed, net: Decimal, words: str) -> None:
        """Close the part that a deed should have protected."""
        assert self.close_out is not None
        size = deed.size if deed.plan is None or deed.moves else deed.size - deed.plan.size
        await self.close_out(deed.bot, symbol, size if net > 0 else -size, words)

    # the watch over what the venue cannot carry -----------------------------------------------------------------------

    async def watch(self, symbol: str, low: Decimal, high: Decimal) -> None:
        """Close the parts whose stop or target the price has touched and that no stop at the venue carries."""
        if self.close_out is None:
            return
        guards = self._account.journal.guards(symbol)
        if not guards:
            return
        wants = wanted(self._account.books.open(symbol), guards)
        for guard, part in unwatched(guards, wants):
            long = part > 0
            stopped = guard.stop is not None and (low <= guard.stop if long else high >= guard.stop)
            reached = guard.target is not None and (high >= guard.target if long else low <= guard.target)
            if stopped or reached:
                await self.close_out(guard.bot, symbol, part, "stop" if stopped else "target")

    # book-keeping ---------------------------------------------------------------------------------------------------

    def _owners(self) -> Mapping[str, Holder]:
        return {plan.order_id: (plan.bot, plan.leg) for plan in self._account.journal.live_plans() if plan.order_id}

    def _own(self, holder: Holder, plan: PlanOrder) -> JournalPlan:
        """Write down that a trigger order at the venue is this bot's."""
        bot, leg = holder
        mine = JournalPlan(
            client_id=plan.client_id,
            order_id=plan.order_id,
            bot=bot,
            symbol=plan.symbol,
            kind=plan.kind.value,
            size=plan.size,
            trigger=plan.trigger,
            live=True,
            leg=leg,
        )
        with self._account.journal.news():
            self._account.journal.put_plan(mine)
            if plan.kind is PlanKind.STOP:
                self._tell(mine, StopState.PLACED)
        return mine

    def _gone(self, known: JournalPlan, state: StopState) -> None:
        """Write down that a stop is no longer there, and why."""
        with self._account.journal.news():
            self._account.journal.put_plan(replace(known, live=False))
            if known.kind == PlanKind.STOP.value:
                self._tell(known, state)

    def _tell(self, plan: JournalPlan, state: StopState) -> None:
        account = self._account
        event = StopEvent(
            bot=plan.bot,
            venue=account.venue_name,
            account=account.name,
            symbol=plan.symbol,
            size=plan.size,
            trigger=plan.trigger,
            state=state,
            client_id=plan.client_id,
            order_id=plan.order_id,
            ts_ns=account.clock(),
        )
        what = f"{plan.client_id}:{state.value}:{plan.size.normalize()}:{plan.trigger.normalize()}"
        account.journal.emit(f"stop:{what}", event)

    def _measure(self, symbol: str, sizes: Mapping[str, Decimal], wants: list[Wanted]) -> None:
        """Start the clock of every position that this look finds without its whole stop, stop those of the others."""
        need = stop_sizes(wants)
        for bot, part in unguarded(sizes, self._account.journal.guards(symbol)).items():
            need[bot] = need.get(bot, ZERO) + abs(part)
        plans = [plan for plan in self._plans.values() if plan.symbol == symbol]
        owners = self._owners()
        for bot in {*sizes, *(bot for bot, held in self._naked_since if held == symbol)} - {str(EXTERNAL)}:
            self._clock(bot, symbol, naked=covered(bot, plans, owners) < need.get(bot, ZERO))

    def _clock(self, bot: str, symbol: str, *, naked: bool) -> None:
        gauge = self._account.metrics.gauge
        gauge("stop_present").labels(bot, symbol).set(not naked)
        if naked:
            self._naked_since.setdefault((bot, symbol), time.monotonic())
        else:
            lasted = self.naked_s(bot, symbol)
            self._naked_since.pop((bot, symbol), None)
            if lasted > self._naked_max:
                self._naked_max = lasted
                with self._account.journal.news():
                    self._account.journal.put("naked_s_max", repr(lasted))
        gauge("naked_seconds").labels(bot, symbol).set(self.naked_s(bot, symbol))


def _journalled(deed: Deed, symbol: str, name: str) -> JournalPlan:
    return JournalPlan(
        client_id=name,
        order_id="",
        bot=deed.bot,
        symbol=symbol,
        kind=deed.kind.value,
        size=deed.size,
        trigger=deed.trigger,
        live=True,
        leg=deed.holder[1],
    )
