"""Circuit breakers: a pure state machine with a clock handed in, one a venue and endpoint class; the gateway's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from omega.errors import TransientError, Unresolved
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)

Clock = Callable[[], float]


class BreakerState(StrEnum):
    """The states of a circuit."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


NUMBERS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class CircuitBreaker:
    """Stops calls to something that keeps failing, and lets one read at a time find out whether it is back.

    Only reads probe: an order must never be the guinea pig. A refusal by the other side is an answer: a success.

    Args:
        venue: whose circuit it is.
        endpoint: the class of endpoints (orders, reads, market).
        failures: failures in a row that open the circuit.
        reset_s: time open before a probe.
        probes: successful probes in a row that close it.
        clock: seconds, never going back.
        on_change: told of every change of state with the old one.
    """

    def __init__(
        self,
        venue: str,
        endpoint: str,
        *,
        failures: int = 5,
        reset_s: float = 10.0,
        probes: int = 2,
        clock: Clock = time.monotonic,
        on_change: Callable[[CircuitBreaker, BreakerState], None] | None = None,
    ) -> None:
        self.venue, self.endpoint = venue, endpoint
        self.failures, self.reset_s, self.probes = failures, reset_s, probes
        self.state = BreakerState.CLOSED
        self._clock = clock
        self._on_change = on_change
        self._failed = 0
        self._sound = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def retry_in_s(self) -> float:
        """Time until a probe is let through; 0 when calls may go."""
        if self.state is not BreakerState.OPEN:
            return 0.0
        return max(self._opened_at + self.reset_s - self._clock(), 0.0)

    def allow(self, *, read: bool) -> bool:
        """Tell whether a call may go now; a probe that is let through must report how it ended."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.state is BreakerState.OPEN:
            if self.retry_in_s > 0 or not read:
                return False
            self._go(BreakerState.HALF_OPEN)
        if not read or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Report an answer, be it a refusal."""
        self._failed = 0
        if self.state is BreakerState.HALF_OPEN and self._probing:
            self._probing = False
            self._sound += 1
            if self._sound >= self.probes:
                self._go(BreakerState.CLOSED)

    def failed(self) -> None:
        """Report a call that got no sound answer."""
        self._failed += 1
        probing, self._probing = self._probing, False
        broken = self.state is BreakerState.CLOSED and self._failed >= self.failures
        if broken or (self.state is BreakerState.HALF_OPEN and probing):
            self._opened_at = self._clock()
            self._go(BreakerState.OPEN)

    def trip(self) -> None:
        """Open the circuit at once: the other side has said that it is away."""
        self._opened_at = self._clock()
        self._failed = max(self._failed, 1)
        self._go(BreakerState.OPEN)

    def given_up(self) -> None:
        """Report a call that was cancelled: it says nothing about the other side."""
        self._probing = False

    @contextmanager
    def guard(self, *, read: bool) -> Iterator[None]:
        """Let one call through and learn from how it ends.

        Raises:
            TransientError: the circuit is open; nothing was sent.
        """
        if not self.allow(read=read):
            raise TransientError(
                f"{self.venue} {self.endpoint} is not called: circuit {self.state} after {self._failed} failures, "
                f"the next probe is in {self.retry_in_s:.1f} s"
            )
        reported = False
        try:
            yield
            reported = True
            self.succeeded()
        except (TransientError, Unresolved, TimeoutError, OSError):
            reported = True
            self.failed()
            raise
        except Exception:
            reported = True
            self.succeeded()
            raise
        finally:
            if not reported:
                self.given_up()

    def _go(self, new: BreakerState) -> None:
        old, self.state = self.state, new
        self._sound = 0
        self._probing = False
        if new is BreakerState.CLOSED:
            self._failed = 0
        if self._on_change is not None and old is not new:
            self._on_change(self, old)


class Breakers:
    """All circuits of one process, with their metrics and one log line a change."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        failures: int = 5,
        reset_s: float = 10.0,
        probes: int = 2,
        clock: Clock = time.monotonic,
        on_change: Callable[[CircuitBreaker, BreakerState], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._limits = (failures, reset_s, probes)
        self._clock = clock
        self._told = on_change
        self._circuits: dict[tuple[str, str], CircuitBreaker] = {}

    def of(self, venue: str, endpoint: str) -> CircuitBreaker:
        """Return the circuit of a venue's endpoint class, making it when it is new."""
        circuit = self._circuits.get((venue, endpoint))
        if circuit is None:
            failures, reset_s, probes = self._limits
            circuit = CircuitBreaker(
                venue,
                endpoint,
                failures=failures,
                reset_s=reset_s,
                probes=probes,
                clock=self._clock,
                on_change=self._changed,
            )
            self._circuits[venue, endpoint] = circuit
            self._metrics.gauge("breaker_state").labels(venue, endpoint).set(0)
        return circuit

    def configure(self, *, failures: int, reset_s: float, probes: int) -> None:
        """Change the limits of all circuits; their states stay."""
        self._limits = (failures, reset_s, probes)
        for circuit in self._circuits.values():
            circuit.failures, circuit.reset_s, circuit.probes = self._limits

    @property
    def open(self) -> list[str]:
        """The circuits that are not closed."""
        broken = [circuit for circuit in self._circuits.values() if circuit.state is not BreakerState.CLOSED]
        return sorted(f"{circuit.venue} {circuit.endpoint}" for circuit in broken)

    def _changed(self, circuit: CircuitBreaker, old: BreakerState) -> None:
        self._metrics.gauge("breaker_state").labels(circuit.venue, circuit.endpoint).set(NUMBERS[circuit.state])
        if circuit.state is BreakerState.OPEN:
            self._metrics.counter("breaker_opened_total").labels(circuit.venue, circuit.endpoint).inc()
        write = logger.info if circuit.state is BreakerState.CLOSED else logger.warning
        write(
            "breaker.changed",
            venue=circuit.venue,
            endpoint=circuit.endpoint,
            before=old.value,
            after=circuit.state.value,
        )
        if self._told is not None:
            self._told(circuit, old)
