"""The Schumann resonance without a sensor: bands, the fitted daily curve for displays, and a seeded simulator.

Called by the factor, by the feed and by the command line. No mechanism links the resonance to prices; a value from here
is always marked as what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Final

from omega.engine.chance import draw
from omega.engine.stages import SIMULATED

__all__ = [
    "BASELINE_HZ",
    "MODES_HZ",
    "PLAUSIBLE_HZ",
    "SIMULATED",
    "band_of",
    "model_amplitude",
    "model_hz",
    "resonance",
    "simulated",
]

BASELINE_HZ: Final = 7.83
MODES_HZ: Final = (BASELINE_HZ, 14.3, 20.8, 27.3, 33.8)
PLAUSIBLE_HZ: Final = (7.2, 8.5)
"""What a sensor can honestly read of the first mode."""
_BANDS: Final = ((6.5, "very_low"), (7.4, "low"), (8.6, "baseline"), (9.6, "elevated"), (12.0, "high"))
_LOWEST_HZ, _HIGHEST_HZ = 4.0, 40.0
_MINUTE_NS: Final = 60_000_000_000
_HOUR_NS: Final = 60 * _MINUTE_NS
_PATTERN_MINUTES: Final = 240
_CHANGE: Final = 0.1
_LANE_CHANGE, _LANE_PATTERN, _LANE_VALUE = 71.0, 72.0, 73.0

_PRIORS: Final[tuple[tuple[str, float, Callable[[float], float]], ...]] = (
    ("baseline", 0.5, lambda u: BASELINE_HZ + 0.2 * (u - 0.5)),
    ("rising", 0.15, lambda u: BASELINE_HZ + 2.0 * u),
    ("spike", 0.1, lambda u: 10.0 + 5.0 * u),
    ("harmonic", 0.1, lambda u: MODES_HZ[1 + int(u * (len(MODES_HZ) - 1))]),
    ("chaotic", 0.08, lambda u: _LOWEST_HZ + 12.0 * u),
    ("depleted", 0.05, lambda u: 5.5 + 1.5 * u),
    ("quantum_leap", 0.02, lambda u: 30.0 + 10.0 * u),
)
"""Patterns with their priors and how each turns a uniform number into hertz."""


def band_of(hertz: float) -> str:
    """Return the band of a frequency, half-open: 6.5, 7.4, 8.6, 9.6 and 12 Hz."""
    return next((name for below, name in _BANDS if hertz < below), "very_high")


def resonance(hertz: float) -> float:
    """Return how near a frequency stands to the baseline, in [0, 1]: 1 at 7.83 Hz, 0 at 0 and from 15.66 Hz on."""
    return max(0.0, 1.0 - abs(hertz - BASELINE_HZ) / BASELINE_HZ)


def model_hz(at_ns: int) -> float:
    """Return the fitted daily curve of the first mode, the mean of two sensors.

    Source: ten-minute fits of 2015-03-01 at the Sierra Nevada station; residual 0.037 Hz.
    """
    hour = at_ns % (24 * _HOUR_NS) / _HOUR_NS
    return 7.76 + 0.103 * cos(2 * pi * (hour - 11.6) / 24) + 0.037 * cos(4 * pi * (hour - 7.4) / 24)


def model_amplitude(at_ns: int) -> float:
    """Return the fitted daily curve of the amplitude in pT/sqrt(Hz); source as in `model_hz`, residual 0.022."""
    hour = at_ns % (24 * _HOUR_NS) / _HOUR_NS
    return 0.444 * (1 + 0.20 * cos(2 * pi * (hour - 15.2) / 24) + 0.07 * cos(4 * pi * (hour - 8.1) / 24))


def simulated(seed: int, at_ns: int, *, retrograde: bool = False) -> tuple[float, str]:
    """Return (hertz, pattern) of the old simulator: a function of seed and minute, a play value and no measurement.

    A pattern lasts until a new one is drawn: at every fourth hour, and each minute with a probability of 10 %. Mercury
    retrograde doubles the chaotic prior before all are normalised.
    """
    minute = at_ns // _MINUTE_NS
    since = minute
    while since % _PATTERN_MINUTES and draw(seed, since * _MINUTE_NS, _LANE_CHANGE) >= _CHANGE:
        since -= 1
    name, value = _pattern(draw(seed, since * _MINUTE_NS, _LANE_PATTERN), retrograde=retrograde)
    hertz = value(draw(seed, minute * _MINUTE_NS, _LANE_VALUE))
    return min(max(hertz, _LOWEST_HZ), _HIGHEST_HZ), name


def _pattern(part: float, *, retrograde: bool) -> tuple[str, Callable[[float], float]]:
    weights = [prior * (2.0 if retrograde and name == "chaotic" else 1.0) for name, prior, _ in _PRIORS]
    left = part * sum(weights)
    for (name, _, value), weight in zip(_PRIORS, weights, strict=True):
        left -= weight
        if left < 0.0:
            return name, value
    return _PRIORS[-1][0], _PRIORS[-1][2]
