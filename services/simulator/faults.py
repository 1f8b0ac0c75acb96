"""Scripted faults of the order path and of the sockets. Set by the admin API, drawn by the REST and WebSocket edges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omega.errors import ConfigError
from services.simulator.intake import Fields
from services.simulator.outbox import Private


class What(StrEnum):
    """The kinds of fault."""

    DELAY = "delay"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HTTP_503 = "http_503"
    HTTP_429 = "http_429"
    HTTP_418 = "http_418"
    CODE = "code"
    MAINTENANCE = "maintenance"
    CLOCK_SKEW = "clock_skew"
    WS_CLOSE = "ws_close"
    WS_SILENT = "ws_silent"
    PUSH_LOST = "push_lost"
    PUSH_DOUBLED = "push_doubled"
    PUSH_REORDERED = "push_reordered"
    PUSH_LATE = "push_late"


SOCKET_FAULTS = frozenset({What.WS_CLOSE, What.WS_SILENT})
PUSH_FAULTS = frozenset({What.PUSH_LOST, What.PUSH_DOUBLED, What.PUSH_REORDERED, What.PUSH_LATE})
ELSEWHERE = SOCKET_FAULTS | PUSH_FAULTS
"""Faults that no REST request draws."""
MAINTENANCE_CODE = "40200"


@dataclass(slots=True)
class Fault:
    """One fault. `path` is a part of the request's path (or `public`, `private` for sockets); `times` counts down.

    A push fault counts private frames; `seconds` is how late, how long silent, or how far the venue's clock is off.
    """

    what: What
    path: str = "/order/"
    code: str = "40725"
    times: int = 1
    seconds: float = 1.0


class Faults:
    """The faults that wait to happen."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def draw(self, path: str) -> Fault | None:
        """Return the first fault that fits a request's path, and count it."""
        for fault in self.waiting:
            if fault.what not in ELSEWHERE and fault.path in path:
                self._count(fault)
                return fault
        return None

    def bend(self, frames: list[Private]) -> tuple[list[Private], list[tuple[float, Private]]]:
        """Apply the push faults to private frames; return what goes now, and what goes late by how many seconds."""
        now, late = list[Private](), list[tuple[float, Private]]()
        for frame in frames:
            fault = next((fault for fault in self.waiting if fault.what in PUSH_FAULTS), None)
            if fault is None:
                now.append(frame)
                continue
            self._count(fault)
            if fault.what is What.PUSH_LATE:
                late.append((fault.seconds, frame))
            elif fault.what is What.PUSH_REORDERED:
                now.insert(0, frame)
            elif fault.what is What.PUSH_DOUBLED:
                now += [frame, frame]
        return now, late

    def _count(self, fault: Fault) -> None:
        fault.times -= 1
        if fault.times <= 0:
            self.waiting.remove(fault)


def read_fault(fields: Fields) -> Fault:
    """Read a fault from a request of the admin API.

    Raises:
        ConfigError: the kind is unknown.
    """
    what = fields.text("what")
    if what not in set(What):
        raise ConfigError(f"no fault {what!r}: choose from {', '.join(What)}")
    kind = What(what)
    default = "" if kind in ELSEWHERE or kind in {What.MAINTENANCE, What.CLOCK_SKEW} else "/order/"
    return Fault(
        what=kind,
        path=fields.text("path", default),
        code=fields.text("code", "40725"),
        times=fields.whole("times", 1),
        seconds=float(fields.amount("seconds") or 1),
    )
