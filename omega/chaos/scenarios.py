"""Named schedules of faults. Listed by `omega chaos list`, drawn anew from every seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omega.chaos.faults import FAULTS, POINTS, Fault, Kind, draw

_HOUSE: Final = (
    *(Kind.KILL, Kind.PAUSE, Kind.KILL_AT, Kind.PAUSE_AT),
    *(Kind.REDIS_KILL, Kind.REDIS_SLOW, Kind.REDIS_PARTITION),
)
_VENUE: Final = (
    *(Kind.DROP_BEFORE, Kind.DROP_AFTER, Kind.DELAY, Kind.HTTP_429, Kind.HTTP_503, Kind.MAINTENANCE, Kind.WS_CLOSE),
    *(Kind.PUSH_LOST, Kind.PUSH_DOUBLED, Kind.PUSH_REORDERED, Kind.PUSH_LATE, Kind.PARTIAL_FILL),
)
ALL: Final = ("intents", "orders", "books", "stops", "limits", "ledger", "runners", "fence")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A schedule by name.

    Attributes:
        about: what it does.
        stakes: the invariants that it puts at stake; all of them are checked all the same.
        plan: draws the schedule: (generator, wanted number of faults) -> faults.
        bars: bars that are replayed after the last fault has healed.
        together: how many faults begin at the same moment.
    """

    name: str
    about: str
    stakes: tuple[str, ...]
    plan: Callable[[random.Random, int], list[Fault]]
    bars: int = 6
    together: int = 1


def _of(*kinds: Kind) -> Callable[[random.Random, int], list[Fault]]:
    """Draw evenly from some kinds."""

    def plan(rng: random.Random, count: int) -> list[Fault]:
        return [FAULTS[kind].draw(kind, rng) for kind in (rng.choice(kinds) for _ in range(count))]

    return plan


def _points(rng: random.Random, count: int) -> list[Fault]:
    names = list(POINTS)
    rng.shuffle(names)
    return [Fault(Kind.KILL_AT, bars=rng.randint(1, 4), point=names[i % len(names)]) for i in range(count)]


def _power(rng: random.Random, count: int) -> list[Fault]:
    return [Fault(Kind.POWER_LOSS, bars=rng.randint(2, 5), point="after_answer") for _ in range(count)]


def _ambiguous(rng: random.Random, count: int) -> list[Fault]:
    kinds = (Kind.DROP_AFTER, Kind.DROP_AFTER, Kind.DROP_BEFORE)
    path = "/order/place-order"
    return [Fault(rng.choice(kinds) if i else Kind.DROP_AFTER, rng.randint(1, 4), path) for i in range(count)]


def _crowd(rng: random.Random, count: int) -> list[Fault]:
    """Slow answers keep entries under way while others arrive: only reservations keep the limit."""
    return [Fault(Kind.DELAY, rng.randint(8, 16), "/order/place-order", seconds=0.4) for _ in range(count)]


def _storm(rng: random.Random, count: int) -> list[Fault]:
    """Pair what happens to a process or the bus with what happens at the venue meanwhile."""
    pairs = [(rng.choice(_HOUSE), rng.choice(_VENUE)) for _ in range((count + 1) // 2)]
    return [FAULTS[kind].draw(kind, rng) for pair in pairs for kind in pair][:count]


def _quiet(_rng: random.Random, _count: int) -> list[Fault]:
    return []


SCENARIOS: Final[dict[str, Scenario]] = {
    row.name: row
    for row in (
        Scenario("quiet", "no fault at all: what the others are compared with", ALL, _quiet, bars=60),
        Scenario("random", "everything, drawn by weight", ALL, draw),
        Scenario(
            "order-path",
            "kill -9 at every named point of the order path in turn",
            ("intents", "orders", "books", "ledger"),
            _points,
        ),
        Scenario("power-loss", "power off below the gateway right after an answer", ("intents", "orders"), _power),
        Scenario("ambiguous", "answers are cut before and after execution", ("orders", "books", "intents"), _ambiguous),
        Scenario("redelivery", "intents come twice", ("orders", "intents"), _of(Kind.DOUBLED_INTENT)),
        Scenario("two-writers", "two processes run one bot", ("fence", "orders"), _of(Kind.TWO_WRITERS)),
        Scenario("crowd", "many entries at once against a tight limit, slow answers", ("limits",), _crowd, bars=60),
        Scenario(
            "redis",
            "the bus is killed, flushed, slow, cut off, restarted empty",
            ("intents", "ledger", "runners"),
            _of(Kind.REDIS_KILL, Kind.REDIS_FLUSH, Kind.REDIS_EMPTY, Kind.REDIS_SLOW, Kind.REDIS_PARTITION),
        ),
        Scenario(
            "processes",
            "kill -9 and pauses of any process at any moment",
            ("intents", "orders", "books", "runners"),
            _of(Kind.KILL, Kind.PAUSE, Kind.KILL_AT, Kind.PAUSE_AT),
        ),
        Scenario(
            "venue",
            "refusals, time-outs, maintenance, broken sockets and pushes",
            ("orders", "books"),
            _of(
                *(Kind.DROP_BEFORE, Kind.DROP_AFTER, Kind.DELAY, Kind.HTTP_429, Kind.HTTP_418, Kind.HTTP_503),
                *(Kind.MAINTENANCE, Kind.WS_CLOSE, Kind.WS_SILENT, Kind.CLOCK_SKEW, Kind.PARTIAL_FILL),
                *(Kind.PUSH_LOST, Kind.PUSH_DOUBLED, Kind.PUSH_REORDERED, Kind.PUSH_LATE, Kind.ORDER_VANISHED),
            ),
        ),
        Scenario(
            "stops",
            "stops are refused, not created, gone; funding and liquidation",
            ("stops", "books"),
            _of(Kind.STOP_VANISHED, Kind.STOP_MISSING, Kind.STOP_REFUSED, Kind.FUNDING, Kind.LIQUIDATION),
        ),
        Scenario(
            "storm",
            "two at once: one in the farm, one at the venue",
            ("orders", "books", "intents"),
            _storm,
            together=2,
        ),
        Scenario("full-disk", "the gateway cannot write its journal", ("orders", "intents"), _of(Kind.DISK_FULL)),
    )
}
