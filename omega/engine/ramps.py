"""Phasing a factor out: its weight falls linearly from one instant to another. Called wherever weights are read."""

from __future__ import annotations

from collections.abc import Mapping

Ramp = tuple[int, int]
"""From which instant on a weight falls, and at which it is zero; ns UTC, rising."""


def ramp_share(ramp: Ramp, at_ns: int) -> float:
    """Return what is left of a weight at an instant: 1 up to the first instant, 0 from the second one on."""
    start_ns, end_ns = ramp
    if at_ns <= start_ns:
        return 1.0
    return (end_ns - at_ns) / (end_ns - start_ns) if at_ns < end_ns else 0.0


def ramped(weights: Mapping[str, float], ramps: Mapping[str, Ramp], at_ns: int) -> Mapping[str, float]:
    """Return the weights at an instant, without those that have come to zero; the very mapping without ramps."""
    if not ramps:
        return weights
    now = {
        name: weight * ramp_share(ramps[name], at_ns) if name in ramps else weight for name, weight in weights.items()
    }
    return {name: weight for name, weight in now.items() if weight > 0.0}
