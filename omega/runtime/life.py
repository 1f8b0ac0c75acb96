"""The life of a service: its states and the legal moves. Owned by BaseService, shown by probes and metrics."""

from __future__ import annotations

import time
from enum import StrEnum

from omega.errors import InvariantBroken
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)


class State(StrEnum):
    """Where in its life a service is."""

    NEW = "new"
    INITIALISED = "initialised"
    STARTED = "started"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


MOVES: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.INITIALISED, State.FAILED, State.STOPPED}),
    State.INITIALISED: frozenset({State.STARTED, State.DRAINING, State.FAILED}),
    State.STARTED: frozenset({State.READY, State.DRAINING, State.FAILED}),
    State.READY: frozenset({State.DRAINING, State.FAILED}),
    State.DRAINING: frozenset({State.STOPPED, State.FAILED}),
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
}


class Life:
    """Holds the state; every move is checked, logged and exported."""

    def __init__(self, service: str, metrics: Metrics) -> None:
        self.state = State.NEW
        self.began = time.monotonic()
        self.since = self.began
        self._service = service
        self._gauge = metrics.gauge("service_state")
        self._gauge.labels(service, self.state.value).set(1)

    def move(self, new: State) -> None:
        """Go to another state.

        Raises:
            InvariantBroken: the move is not legal.
        """
        if new not in MOVES[self.state]:
            raise InvariantBroken(
                f"{self._service} cannot go from {self.state} to {new}: this is a bug of its life cycle"
            )
        old, self.state, self.since = self.state, new, time.monotonic()
        self._gauge.labels(self._service, old.value).set(0)
        self._gauge.labels(self._service, new.value).set(1)
        logger.info("service.moved", before=old.value, after=new.value)

    @property
    def running(self) -> bool:
        """Tell whether the service has started and is not on its way out."""
        return self.state in (State.STARTED, State.READY)

    @property
    def over(self) -> bool:
        """Tell whether nothing follows any more."""
        return self.state in (State.STOPPED, State.FAILED)
