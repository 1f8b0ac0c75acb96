"""What the bus has done, as metrics, and one log line for each change of its state. Owned by BaseService."""

from __future__ import annotations

from omega.bus.port import Bus, BusState
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)

NUMBERS = {BusState.CONNECTED: 0, BusState.DEGRADED: 1, BusState.ISOLATED: 2}
COUNTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "sent": ("bus_messages_total", ("sent",)),
    "received": ("bus_messages_total", ("received",)),
    "buffered": ("bus_messages_total", ("buffered",)),
    "dropped": ("bus_dropped_total", ("unsent",)),
    "conflated": ("bus_dropped_total", ("conflated",)),
    "corrupt": ("bus_dropped_total", ("corrupt",)),
    "duplicates": ("bus_duplicates_total", ()),
    "fenced": ("bus_fenced_total", ()),
    "gaps": ("bus_gaps_total", ()),
    "reconnected": ("bus_reconnects_total", ()),
    "redelivered": ("bus_redeliveries_total", ()),
    "buried": ("bus_dead_letters_total", ()),
}
"""Counters of the bus by attribute: the metric and its labels behind the service's name."""


class BusWatch:
    """Copies the counters of a bus into the metrics; the hot way of the bus only adds integers."""

    def __init__(self, *, service: str, bus: Bus, metrics: Metrics) -> None:
        self._service = service
        self._bus = bus
        self._metrics = metrics
        self._state = BusState.CONNECTED
        self._before: dict[str, int] = {}
        self._waits = 0

    def update(self) -> None:
        """Bring the metrics up to date."""
        state = self._bus.state()
        if state is not self._state:
            write = logger.info if state is BusState.CONNECTED else logger.warning
            write("bus.changed", before=self._state.value, after=state.value)
            self._state = state
        self._metrics.gauge("bus_state").labels(self._service).set(NUMBERS[state])
        self._metrics.gauge("bus_outbox").labels(self._service).set(getattr(self._bus, "waiting", 0))
        self._pool()
        stats = getattr(self._bus, "stats", None)
        for attribute, (name, labels) in COUNTED.items():
            now = int(getattr(stats, attribute, 0))
            grown = now - self._before.get(attribute, 0)
            self._before[attribute] = now
            self._metrics.counter(name).labels(self._service, *labels).inc(max(grown, 0))

    def _pool(self) -> None:
        """Tell the use of the client's connections; a bus in memory has none."""
        ask = getattr(self._bus, "pool_use", None)
        use = ask() if ask is not None else None
        if use is None:
            return
        gauge = self._metrics.gauge("bus_connections")
        for state, number in (("used", use.used), ("idle", use.idle), ("allowed", use.allowed)):
            gauge.labels(self._service, state).set(number)
        self._metrics.counter("bus_pool_waits_total").labels(self._service).inc(use.waits - self._waits)
        self._waits = use.waits
