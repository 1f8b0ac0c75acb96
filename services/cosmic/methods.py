"""The analytical half of the seeds' CosmicFactorService: golden ratio, patterns, resonance, cycles.

The class is a shell: every method calls a pure function of `omega.cosmic` or `omega.engine`, where its formula stands.
Nothing here is advice, and what chance explains is called not significant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from omega.analytics.ratios import Variant
from omega.bus.messages import Scalar
from omega.cosmic.cycles import Cycles, Resonance, dominant_cycles, resonance_at
from omega.cosmic.golden import GoldenRatio, fibonacci_numbers, golden_legs, harmony_of
from omega.cosmic.harmonics import Match, Pivot, find_patterns, harmonic_windows
from omega.cosmic.readings import Heard
from omega.cosmic.schumann import BASELINE_HZ, resonance
from omega.domain import FeedState
from omega.engine.fibonacci import PHI, Levels, levels
from omega.errors import Denied

_MOST: Final = 5_000
"""Values in one request at most."""
_DIRECTIONS: Final = ("up", "down")


class AnalyticalMethods:
    """The attributes and methods that the second seed names.

    Attributes:
        phi: the golden ratio.
    """

    phi: Final = PHI

    def schumann(self) -> Heard | None:
        """Return what the feed of the resonance says now."""
        raise NotImplementedError

    @property
    def fib_sequence(self) -> list[int]:
        """The first twenty Fibonacci numbers."""
        return fibonacci_numbers(20)

    @property
    def schumann_resonance(self) -> float:
        """The resonance in hertz: the provider's value while it is live, else the baseline of 7.83."""
        heard = self.schumann()
        return heard.raw if heard is not None and heard.state is FeedState.LIVE else BASELINE_HZ

    @property
    def schumann_source(self) -> tuple[str, str]:
        """Source and state of what the feed of the resonance says."""
        heard = self.schumann()
        return ("none", FeedState.STALE.value) if heard is None else (heard.source, heard.state.value)

    @property
    def harmonic_patterns(self) -> Mapping[str, Variant]:
        """Ratio windows by pattern, from validated YAML."""
        return harmonic_windows()

    def calculate_harmony(self, values: Sequence[float]) -> float:
        """Return the harmony of some values in [0, 1]; see `omega.cosmic.golden.harmony_of`."""
        return harmony_of(values)

    def generate_fibonacci_levels(self, high: float, low: float, direction: str = "up") -> Levels:
        """Return the levels of a swing; see `omega.engine.fibonacci.levels`.

        Raises:
            Denied: the direction is neither up nor down.
            CorruptData: the high does not lie above a positive low.
        """
        if direction not in _DIRECTIONS:
            raise Denied(f"a swing goes up or down, not {direction!r}", rule="params")
        return levels(high, low, up=direction == "up")

    def identify_patterns(self, swings: Sequence[Pivot]) -> tuple[Match, ...]:
        """Return the harmonic patterns of confirmed pivots; see `omega.cosmic.harmonics.find_patterns`."""
        return find_patterns(swings, self.harmonic_patterns)

    def calculate_resonance(self, series: Sequence[float], periods: Sequence[float] = ()) -> Resonance:
        """Return spectral power at some periods with p-values; see `omega.cosmic.cycles.resonance_at`."""
        return resonance_at(series, periods)

    def predict_cycles(self, series: Sequence[float]) -> Cycles:
        """Return dominant periods and next turns with p-values; see `omega.cosmic.cycles.dominant_cycles`."""
        return dominant_cycles(series)

    def analyze_golden_ratio(self, series: Sequence[float]) -> GoldenRatio:
        """Return how often legs stand in the golden ratio, with its p-value; see `omega.cosmic.golden.golden_legs`."""
        return golden_legs(series)

    def analysed(self, method: str, params: Mapping[str, Scalar]) -> object:
        """Answer one request of ANALYSES; series and pivots come as numbers with commas between, in `values`.

        Raises:
            Denied: a parameter is missing or no number.
            CorruptData: the numbers allow no analysis.
        """
        return ANALYSES[method](self, params)

    def _levels(self, params: Mapping[str, Scalar]) -> object:
        high, low = (_number(params, name) for name in ("high", "low"))
        return asdict(self.generate_fibonacci_levels(high, low, str(params.get("direction", "up"))))

    def _harmony(self, params: Mapping[str, Scalar]) -> object:
        return {"harmony": self.calculate_harmony(_numbers(params))}

    def _resonance(self, params: Mapping[str, Scalar]) -> object:
        if "hertz" in params:
            return {"resonance": resonance(_number(params, "hertz")), "baseline_hz": BASELINE_HZ}
        return _told(self.calculate_resonance(_numbers(params)))

    def _cycles(self, params: Mapping[str, Scalar]) -> object:
        found = self.predict_cycles(_numbers(params))
        return {**_told(found), "confidence": found.confidence}

    def _golden(self, params: Mapping[str, Scalar]) -> object:
        return _told(self.analyze_golden_ratio(_numbers(params)))

    def _patterns(self, params: Mapping[str, Scalar]) -> object:
        pivots = [Pivot(number, price) for number, price in enumerate(_numbers(params))]
        return [asdict(match) for match in self.identify_patterns(pivots)]


ANALYSES: Final[Mapping[str, Callable[[AnalyticalMethods, Mapping[str, Scalar]], object]]] = {
    "levels": AnalyticalMethods._levels,  # noqa: SLF001 - the table of this class
    "harmony": AnalyticalMethods._harmony,  # noqa: SLF001 - same
    "resonance": AnalyticalMethods._resonance,  # noqa: SLF001 - same
    "cycles": AnalyticalMethods._cycles,  # noqa: SLF001 - same
    "golden": AnalyticalMethods._golden,  # noqa: SLF001 - same
    "patterns": AnalyticalMethods._patterns,  # noqa: SLF001 - same
}
"""What can be asked over the bus."""


def _told(found: Resonance | Cycles | GoldenRatio) -> dict[str, Any]:
    return {**asdict(found), "verdict": found.verdict}


def _number(params: Mapping[str, Scalar], name: str) -> float:
    try:
        return float(params[name])
    except (KeyError, TypeError, ValueError):
        raise Denied(f"{name} = {params.get(name)!r} is no number; give {name}=NUMBER", rule="params") from None


def _numbers(params: Mapping[str, Scalar]) -> list[float]:
    parts = [part for part in str(params.get("values", "")).split(",") if part.strip()]
    try:
        found = [float(part) for part in parts]
    except ValueError as error:
        raise Denied(f"values holds what is no number ({error}); separate numbers by commas", rule="params") from None
    if not 0 < len(found) <= _MOST:
        raise Denied(f"values holds {len(found)} numbers; give 1 to {_MOST}, separated by commas", rule="params")
    return found
