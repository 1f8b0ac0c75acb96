"""The sky and the crowd as numbers, usable without a service: ephemeris, readings, feeds, cycles, the golden ratio.

All of it is unproven as far as prices go. Called by the factors, the cosmic service, history and the command line.
"""

from omega.cosmic.cycles import Cycle, Cycles, Resonance, dominant_cycles, resonance_at
from omega.cosmic.feeds import Rule, Sample, Track
from omega.cosmic.golden import GoldenRatio, fibonacci_numbers, golden, golden_legs, harmony_of
from omega.cosmic.harmonics import Match, Pivot, find_patterns, harmonic_windows
from omega.cosmic.readings import Heard, Place, calculated, fetched, read_factors
from omega.cosmic.sky import Sky
from omega.cosmic.table import (
    ORBS,
    Aspect,
    Body,
    MoonPhase,
    SkyTable,
    Station,
    aspect_balance,
    aspects_of,
    phase_of,
    separation,
)

__all__ = [
    "ORBS",
    "Aspect",
    "Body",
    "Cycle",
    "Cycles",
    "GoldenRatio",
    "Heard",
    "Match",
    "MoonPhase",
    "Pivot",
    "Place",
    "Resonance",
    "Rule",
    "Sample",
    "Sky",
    "SkyTable",
    "Station",
    "Track",
    "aspect_balance",
    "aspects_of",
    "calculated",
    "dominant_cycles",
    "fetched",
    "fibonacci_numbers",
    "find_patterns",
    "golden",
    "golden_legs",
    "harmonic_windows",
    "harmony_of",
    "phase_of",
    "read_factors",
    "resonance_at",
    "separation",
]
