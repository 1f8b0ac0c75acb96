"""One seed of the lab: start the farm, do the faults one by one, let it heal, judge. Run by `omega chaos`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omega.bus import Command, Verb, connect
from omega.chaos.acts import Skipped, do
from omega.chaos.config import BOTS, RECOVERY_S, write_config
from omega.chaos.farm import LabFarm
from omega.chaos.faults import Fault
from omega.chaos.market import Market
from omega.chaos.scenarios import Scenario
from omega.chaos.truth import Truth, audit, read_journal, read_ledger
from omega.chaos.verify import Violation, verify, voided
from omega.chaos.watch import NakedWatch
from omega.cli.farm import FarmOptions
from omega.cli.farm.admin import AdminClient
from omega.domain import Intent, timeframe_ns
from omega.errors import OmegaError, TransientError
from omega.resilience import ended

_ASK_S: Final = 10
_WARM_BARS: Final = 8
_SETTLE_S: Final = 30.0
_ACTOR: Final = "fault-lab"


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What one seed is run with.

    Attributes:
        faults: wanted number of faults; the scenario draws them from the seed.
        minutes: the schedule is cut short after so many minutes, 0 = never. Units: min.
        without: guards that are switched off in the child processes.
        home: where this seed's farm lives; its logs stay for a look.
    """

    scenario: Scenario
    seed: int
    home: Path
    faults: int = 10
    minutes: float = 0.0
    without: tuple[str, ...] = ()
    tight: bool = False


@dataclass(slots=True)
class Lab:
    """A running seed."""

    options: LabOptions
    farm: LabFarm
    market: Market
    venue: AdminClient
    naked: NakedWatch
    intents: dict[str, int] = field(default_factory=dict)
    flushed: list[int] = field(default_factory=list)
    done: list[Fault] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    halts: Counter[str] = field(default_factory=Counter)

    async def work(self, schedule: list[Fault], say: Callable[[str], None]) -> None:
        """Carry the schedule out."""
        end = time.monotonic() + self.options.minutes * 60 if self.options.minutes else float("inf")
        await self.market.passes(_WARM_BARS)
        together = self.options.scenario.together
        for number in range(0, len(schedule), together):
            if time.monotonic() > end:
                say(f"time is over after {number} faults")
                break
            group = schedule[number : number + together]
            for fault in group:
                say(f"{number + 1}/{len(schedule)} bar {self.market.bars} {fault.words()}")
            if not any(await asyncio.gather(*(self._try(fault, say) for fault in group))):
                continue
            if not await self.recover("+".join(fault.kind.value for fault in group)):
                return
            await self.market.passes(max(fault.bars for fault in group))
        await self.market.passes(self.options.scenario.bars)

    async def _try(self, fault: Fault, say: Callable[[str], None]) -> bool:
        """Do one fault; tell whether it could be done."""
        try:
            await do(self, fault)
        except (Skipped, TransientError) as why:  # the venue itself may be what another fault has killed
            say(f"  skipped: {why}")
            self.skipped.append(f"{fault.kind.value}: {why}")
            return False
        self.done.append(fault)
        return True

    async def recover(self, kind: str) -> bool:
        """Wait until the farm is whole again, note how long that took, and release the halts that it latched."""
        began = time.monotonic()
        self.market.slow = True
        why = await self._whole(began + RECOVERY_S)
        self.market.slow = False
        took = time.monotonic() - began
        self.recovery_s.setdefault(kind, []).append(took)
        if why:
            self.violations.append(Violation("not_recovered", f"after {kind}, within {took:.0f} s: {why}"))
            return False
        return await self._released(kind)

    async def _whole(self, until: float) -> str:
        """Ask until every process is ready and the gateway finds nothing open; return what is missing, or nothing."""
        why = "nobody answered"
        while time.monotonic() < until:
            try:
                names = set(self.farm.processes.children)
                await self.farm.until_ready(names, within_s=max(0.1, until - time.monotonic()))
                told = await self.farm.ask_gateway("invariants")
            except (OmegaError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
                await asyncio.sleep(0.1)
                continue
            missing = [name for name in ("books_equal_venue", "every_position_has_stop") if not told[name]]
            if not missing and not told["unresolved"] and self.naked.covered:
                return ""
            why = f"{missing} unresolved={told['unresolved']} {told['residuals']} {told['unstopped']}"
            await asyncio.sleep(0.1)
        return why

    async def _released(self, kind: str) -> bool:
        """Release a latched halt as a named person would, and say so in the result."""
        for attempt in range(20):
            told = await self._ask()
            if told is not None and not told["halted"]:
                return True
            if told is not None:
                self.halts[kind] += not attempt
                name = f"lab-{self.options.seed}-{time.time_ns()}"
                command = Command(name, Verb.RELEASE, "farm", _ACTOR, f"the lab knows the cause: {kind}")
                await self.farm.bus.send(command)
            await asyncio.sleep(0.3)
        self.violations.append(Violation("halt_not_released", f"after {kind}"))
        return False

    async def _ask(self) -> dict[str, Any] | None:
        try:
            return await self.farm.ask_gateway("invariants")
        except (OmegaError, TimeoutError):
            return None

    async def follow_intents(self, ready: asyncio.Event) -> None:
        """Note every intent that is on the bus, until cancelled."""
        trading, topics = self.farm.settings.trading, self.farm.bus.topics
        lanes = [topics.intents(trading.venue, trading.account, high=high) for high in (True, False)]
        # The intents are nobody's but the gateway's and the ledger's: only the administrator may listen in.
        bus = connect(self.farm.admin_url, env=self.farm.settings.environment.name.value, source="lab")
        await bus.start()
        try:
            async with bus.follow(*lanes) as stream:
                ready.set()
                async for received in stream:
                    intent = received.envelope.data
                    if isinstance(intent, Intent):
                        self.intents.setdefault(intent.intent_id, int(received.entry_id.partition("-")[0] or 0))
        finally:
            await bus.close()

    async def truth(self) -> Truth:
        """Let everything come to rest and gather what everybody says."""
        with contextlib.suppress(OmegaError, TimeoutError):
            await self.farm.bus.ask("gateway", "settle", within_ns=_ASK_S * 1_000_000_000)
        with contextlib.suppress(OmegaError, TimeoutError):
            await self.farm.bus.ask("ledger", "settle", within_ns=3 * _ASK_S * 1_000_000_000)
        journal = read_journal(self.farm.journal)
        venue = await self.venue.call("GET", "/ledger")
        statuses = {
            (bot, status.symbol): status.position for bot, status in self.farm.observer.statuses.items() if bot in BOTS
        }
        database = self.farm.options.home / "ledger.db"
        return Truth(
            venue=venue,
            **journal,
            **read_ledger(database),
            audit=await audit(database, database.parent / "archive"),
            intents=dict(self.intents),
            flushed=list(self.flushed),
            statuses=statuses,
            max_notional=self.farm.settings.trading.max_notional,
            naked_s=self.naked.longest_s,
        )

    async def judge(self) -> tuple[Truth, list[Violation]]:
        """Gather and judge until nothing is open, or until the patience is over: news may still be on its way."""
        until = time.monotonic() + _SETTLE_S
        while True:
            truth = await self.truth()
            found = verify(truth)
            if not found or time.monotonic() > until:
                return truth, found
            await asyncio.sleep(1.0)


async def run_seed(options: LabOptions, say: Callable[[str], None] = lambda _line: None) -> dict[str, Any]:
    """Run one seed and return its result as a JSON object; `violations` is empty when every invariant held.

    Raises:
        EnvironmentFault: the farm did not start.
    """
    began = time.monotonic()
    rng = random.Random(f"{options.scenario.name}:{options.seed}")  # noqa: S311 - a schedule, no secret
    schedule = options.scenario.plan(rng, options.faults)
    options.home.mkdir(parents=True, exist_ok=True)
    settings = write_config(options.home / "config", tight=options.tight)
    farm_options = FarmOptions(
        bots=BOTS,
        speed="lockstep",
        bars=0,
        home=options.home,
        seed=options.seed,
        start="",
        data="",
        redis_url="",
        extra_env={"OMEGA_CONFIG_DIR": str(options.home / "config"), "OMEGA_REDIS__LEASE_TTL_S": "4"},
    )
    async with LabFarm(settings, farm_options, without=options.without) as farm:
        lab = await _open(options, farm)
        tasks = await _spawn(lab)
        try:
            await lab.work(schedule, say)
            await lab.recover("end")
            await ended(tasks[:1])
            truth, found = await lab.judge()
        finally:
            await ended(tasks)
    return _result(lab, truth, [*lab.violations, *found], schedule, time.monotonic() - began)


async def _open(options: LabOptions, farm: LabFarm) -> Lab:
    market = Market(farm, timeframe_ns=timeframe_ns(farm.settings.trading.timeframe))
    return Lab(options, farm, market, farm.venue(), NakedWatch(farm.venue()))


async def _spawn(lab: Lab) -> list[asyncio.Task[None]]:
    following = asyncio.Event()
    works: list[Coroutine[Any, Any, None]] = [lab.market.run(), lab.naked.run(), lab.follow_intents(following)]
    tasks = [asyncio.create_task(work) for work in works]
    ready = asyncio.create_task(following.wait())
    await asyncio.wait([ready, tasks[-1]], return_when=asyncio.FIRST_COMPLETED)
    if tasks[-1].done():
        await ended([ready, *tasks[:-1]])
        await tasks[-1]
    return tasks


def _result(
    lab: Lab, truth: Truth, violations: list[Violation], schedule: list[Fault], took_s: float
) -> dict[str, Any]:
    recoveries = sorted(seconds for spells in lab.recovery_s.values() for seconds in spells)
    return {
        "seed": lab.options.seed,
        "scenario": lab.options.scenario.name,
        "without": list(lab.options.without),
        "schedule": [fault.words() for fault in schedule],
        "faults": dict(Counter(fault.kind.value for fault in lab.done)),
        "skipped": lab.skipped,
        "violations": [found.row() for found in violations],
        "recovery_s": {"median": at(recoveries, 0.5), "p99": at(recoveries, 0.99), "max": at(recoveries, 1.0)},
        "recoveries": {kind: [round(one, 3) for one in spells] for kind, spells in lab.recovery_s.items()},
        "naked_s_max": round(truth.naked_s, 3),
        "unresolved_s_max": round(max(truth.unresolved_s(), default=0.0), 3),
        "unresolved": len(truth.unresolved_s()),
        "bars": lab.market.bars,
        "intents": len(truth.intents),
        "voided": len(voided(truth)),
        "orders": len(truth.api_orders),
        "duplicates": sum(found.invariant == "order_doubled" for found in violations),
        "trades": len(truth.venue["trades"]),
        "halts_released": dict(lab.halts),
        "restarts": {name: child.restarts for name, child in lab.farm.processes.children.items()},
        "load": round(os.getloadavg()[0], 2),
        "elapsed_s": round(took_s, 1),
        "home": str(lab.options.home),
    }


def at(ranked: list[float], share: float) -> float | None:
    """Return the value at a share of a sorted list, None of an empty one."""
    return round(ranked[min(len(ranked) - 1, int(len(ranked) * share))], 3) if ranked else None
