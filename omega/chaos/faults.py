"""The kinds of fault and one fault of a schedule. Drawn by the scenarios, carried out by `acts`."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What can go wrong."""

    KILL = "kill"
    PAUSE = "pause"
    KILL_AT = "kill_at"
    PAUSE_AT = "pause_at"
    POWER_LOSS = "power_loss"
    TWO_WRITERS = "two_writers"
    REDIS_KILL = "redis_kill"
    REDIS_FLUSH = "redis_flush"
    REDIS_EMPTY = "redis_empty"
    REDIS_SLOW = "redis_slow"
    REDIS_PARTITION = "redis_partition"
    DOUBLED_INTENT = "doubled_intent"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY = "delay"
    HTTP_429 = "http_429"
    HTTP_418 = "http_418"
    HTTP_503 = "http_503"
    MAINTENANCE = "maintenance"
    WS_CLOSE = "ws_close"
    WS_SILENT = "ws_silent"
    PUSH_LOST = "push_lost"
    PUSH_DOUBLED = "push_doubled"
    PUSH_REORDERED = "push_reordered"
    PUSH_LATE = "push_late"
    PARTIAL_FILL = "partial_fill"
    STOP_REFUSED = "stop_refused"
    STOP_MISSING = "stop_missing"
    STOP_VANISHED = "stop_vanished"
    ORDER_VANISHED = "order_vanished"
    FUNDING = "funding"
    LIQUIDATION = "liquidation"
    CLOCK_SKEW = "clock_skew"
    DISK_FULL = "disk_full"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a schedule.

    Attributes:
        kind: what goes wrong.
        bars: how many bars after the fault before it has healed this one comes.
        target: whom it hits: a process (`gateway`, `runner-lab-a`), a socket (`private`), a path, or nobody by name.
        point: the named point of the order path, for faults that wait for one.
        seconds: how long it lasts, 0 for an instant.
        times: how many requests or pushes it hits.
    """

    kind: Kind
    bars: int = 2
    target: str = ""
    point: str = ""
    seconds: float = 0.0
    times: int = 1

    def words(self) -> str:
        """Return the fault in one line, as a schedule prints it."""
        given = {key: value for key, value in asdict(self).items() if value and key not in {"kind", "bars"}}
        told = " ".join(f"{key}={value}" for key, value in given.items() if (key, value) != ("times", 1))
        return f"+{self.bars} bars {self.kind.value} {told}".strip()


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """How a kind is drawn: its words, its weight among the others, and what its fields may be.

    Attributes:
        targets: one of these is hit.
        seconds: the range of its length. Units: s.
        times: the range of requests or pushes.
    """

    about: str
    weight: int = 2
    targets: tuple[str, ...] = ("",)
    points: tuple[str, ...] = ("",)
    seconds: tuple[float, float] = (0.0, 0.0)
    times: tuple[int, int] = (1, 1)

    def draw(self, kind: Kind, rng: random.Random) -> Fault:
        """Draw one fault of this kind."""
        return Fault(
            kind=kind,
            bars=rng.randint(1, 6),
            target=rng.choice(self.targets),
            point=rng.choice(self.points),
            seconds=round(rng.uniform(*self.seconds), 2),
            times=rng.randint(*self.times),
        )


RUNNERS: Final = ("runner-lab-a", "runner-lab-b", "runner-lab-c")
PROCESSES: Final = ("gateway", "gateway", "simulator", "ledger", "cosmic", *RUNNERS)
"""The gateway stands twice: it is where money can be lost."""
POINTS: Final = {
    "before_journal": "gateway",
    "after_journal": "gateway",
    "after_send": "gateway",
    "after_answer": "gateway",
    "after_event": "gateway",
    "before_intent": "runner",
    "after_intent": "runner",
    "after_commit": "ledger",
}
"""Named points of the order path, and the process that passes them."""
PATHS: Final = ("/order/place-order", "/order/")

FAULTS: Final[dict[Kind, FaultSpec]] = {
    Kind.KILL: FaultSpec("kill -9 of a process at any moment", 4, targets=PROCESSES),
    Kind.PAUSE: FaultSpec("SIGSTOP, later SIGCONT of a process", 3, targets=PROCESSES, seconds=(0.3, 3.0)),
    Kind.KILL_AT: FaultSpec("kill -9 at a named point of the order path", 4, points=tuple(POINTS)),
    Kind.PAUSE_AT: FaultSpec("SIGSTOP at a named point of the order path", 2, points=tuple(POINTS), seconds=(0.3, 3.0)),
    Kind.POWER_LOSS: FaultSpec("power off below the gateway: what was not synced is gone", 2, points=("after_answer",)),
    Kind.TWO_WRITERS: FaultSpec("a runner stands still, another takes its bot, the first comes back", 1, RUNNERS),
    Kind.REDIS_KILL: FaultSpec("kill -9 of the Redis server", 2),
    Kind.REDIS_FLUSH: FaultSpec("FLUSHALL", 2),
    Kind.REDIS_EMPTY: FaultSpec("the Redis server is killed and starts empty", 1),
    Kind.REDIS_SLOW: FaultSpec(
        "every byte from and to Redis is late", 2, ("", "gateway", *RUNNERS), seconds=(0.5, 2.0)
    ),
    Kind.REDIS_PARTITION: FaultSpec(
        "Redis is cut off from one process or all", 3, ("", "gateway", "ledger", *RUNNERS), seconds=(0.5, 4.0)
    ),
    Kind.DOUBLED_INTENT: FaultSpec("an intent comes a second time, as another message", 2),
    Kind.DROP_BEFORE: FaultSpec("a request is cut before the venue executes it", 3, PATHS, times=(1, 2)),
    Kind.DROP_AFTER: FaultSpec("a request is executed, its answer is cut", 4, PATHS, times=(1, 2)),
    Kind.DELAY: FaultSpec("an answer comes later than the gateway waits", 2, PATHS, seconds=(0.5, 2.5)),
    Kind.HTTP_429: FaultSpec("the venue says 429", 2, ("", *PATHS), times=(1, 6)),
    Kind.HTTP_418: FaultSpec("the venue says 418", 1, ("", *PATHS), times=(1, 4)),
    Kind.HTTP_503: FaultSpec("the venue answers 503 without JSON", 2, ("", *PATHS), times=(1, 8)),
    Kind.MAINTENANCE: FaultSpec("the venue is in maintenance", 2, seconds=(0.5, 2.0)),
    Kind.WS_CLOSE: FaultSpec("a socket is closed", 2, ("private", "public", "")),
    Kind.WS_SILENT: FaultSpec("a socket says nothing", 1, ("private", "public"), seconds=(0.5, 2.0)),
    Kind.PUSH_LOST: FaultSpec("private pushes are lost", 3, times=(1, 6)),
    Kind.PUSH_DOUBLED: FaultSpec("private pushes come twice", 2, times=(1, 6)),
    Kind.PUSH_REORDERED: FaultSpec("private pushes come in the wrong order", 2, times=(2, 6)),
    Kind.PUSH_LATE: FaultSpec("private pushes come late", 2, times=(1, 6), seconds=(0.3, 2.0)),
    Kind.PARTIAL_FILL: FaultSpec("an order is filled in two parts, a bar apart", 3, times=(1, 2)),
    Kind.STOP_REFUSED: FaultSpec("the venue refuses stops", 2, times=(1, 3)),
    Kind.STOP_MISSING: FaultSpec("the stop of an entry is silently not created", 2),
    Kind.STOP_VANISHED: FaultSpec("a stop is gone from the venue", 3),
    Kind.ORDER_VANISHED: FaultSpec("the venue cancels an order that waits", 2),
    Kind.FUNDING: FaultSpec("a funding instant", 2),
    Kind.LIQUIDATION: FaultSpec("the venue liquidates a position", 1),
    Kind.CLOCK_SKEW: FaultSpec("the venue's clock is off by more than it accepts", 1, seconds=(0.5, 2.0)),
    Kind.DISK_FULL: FaultSpec("the gateway's disk is full", 1, seconds=(0.5, 2.0)),
}
"""Every kind with its words; a test holds the table whole."""


def draw(rng: random.Random, count: int) -> list[Fault]:
    """Draw a schedule of all kinds by their weights; the same generator state gives the same schedule."""
    kinds = list(FAULTS)
    chosen = rng.choices(kinds, [FAULTS[kind].weight for kind in kinds], k=count)
    return [FAULTS[kind].draw(kind, rng) for kind in chosen]
