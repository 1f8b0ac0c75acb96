"""The three gauges of the seeds: success ratio, regularity of the heartbeat, their mean. Owned by BaseService."""

from __future__ import annotations

import time

from omega.telemetry import Metrics

SMOOTHING = 0.02
"""Weight of the newest message or beat; about the last fifty count."""


class Vitals:
    """Smoothed signs of health, all in [0, 1]; they move no trade."""

    def __init__(self, service: str, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._began = time.monotonic()
        self._last_beat = 0.0
        self.quantum_coherence = 1.0
        self.bioresonance = 1.0

    @property
    def consciousness_field(self) -> float:
        """The mean of coherence and bioresonance."""
        return (self.quantum_coherence + self.bioresonance) / 2

    def handled(self, *, ok: bool) -> None:
        """Take note of one message."""
        self.quantum_coherence += SMOOTHING * ((1.0 if ok else 0.0) - self.quantum_coherence)

    def beat(self, expected_s: float) -> None:
        """Take note of one heartbeat that was due `expected_s` after the one before."""
        now = time.monotonic()
        if self._last_beat:
            late = abs(now - self._last_beat - expected_s) / expected_s
            self.bioresonance += SMOOTHING * (max(0.0, 1.0 - late) - self.bioresonance)
        self._last_beat = now

    def export(self, consciousness_level: int) -> None:
        """Write the gauges."""
        gauge = self._metrics.gauge
        gauge("service_up").labels(self._service).set(1)
        gauge("uptime_seconds").labels(self._service).set(time.monotonic() - self._began)
        gauge("consciousness_level").labels(self._service).set(consciousness_level)
        gauge("quantum_coherence").labels(self._service).set(self.quantum_coherence)
        gauge("bioresonance").labels(self._service).set(self.bioresonance)
        gauge("consciousness_field").labels(self._service).set(self.consciousness_field)
