"""Scripted faults of the order path and of the sockets. Set by the admin API, drawn by the REST and WebSocket edges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omega.errors import ConfigError
from services.simulator.intake import Fields


class What(StrEnum):
    """The kinds of fault."""

    DELAY = "delay"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HTTP_503 = "http_503"
    CODE = "code"
    WS_CLOSE = "ws_close"
    WS_SILENT = "ws_silent"


SOCKET_FAULTS = frozenset({What.WS_CLOSE, What.WS_SILENT})


@dataclass(slots=True)
class Fault:
    """One fault. `path` is a part of the request's path (or `public`, `private` for sockets); `times` counts down."""

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
            if fault.what not in SOCKET_FAULTS and fault.path in path:
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return None


def read_fault(fields: Fields) -> Fault:
    """Read a fault from a request of the admin API.

    Raises:
        ConfigError: the kind is unknown.
    """
    what = fields.text("what")
    if what not in set(What):
        raise ConfigError(f"no fault {what!r}: choose from {', '.join(What)}")
    kind = What(what)
    default = "" if kind in SOCKET_FAULTS else "/order/"
    return Fault(
        what=kind,
        path=fields.text("path", default),
        code=fields.text("code", "40725"),
        times=fields.whole("times", 1),
        seconds=float(fields.amount("seconds") or 1),
    )
