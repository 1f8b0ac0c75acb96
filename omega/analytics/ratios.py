"""The ratio windows of the harmonic patterns, read from data/harmonic.yaml. Called by the harmonic family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from omega.engine.bars import F64, Flags
from omega.errors import ConfigError

RULES: Final = Path(__file__).parent / "data" / "harmonic.yaml"

POINT_TOLERANCE: Final = 0.03
END_TOLERANCE: Final = 0.02
"""Relative: of a point ratio; of the ratio that places D, and of the ends of a range."""

BEFORE_D: Final = ("xa", "ab", "bc", "c")
_OF_D: Final = ("ad", "xc")
ENDS: Final = ("cd", *_OF_D)  # the ratios that place D
_RATIOS: Final = (*BEFORE_D, *ENDS)


@dataclass(frozen=True, slots=True)
class Window:
    """The allowed values of one ratio. Units: low <= high, a point ratio has both alike; tolerance is relative."""

    low: float
    high: float
    tolerance: float

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the window, its tolerance included."""
        return self.low * (1.0 - self.tolerance), self.high * (1.0 + self.tolerance)

    def admits(self, ratio: F64) -> Flags:
        """Tell which ratios lie in the window, its tolerance included; NaN never does."""
        low, high = self.ends
        made: Flags = (ratio >= low) & (ratio <= high)
        return made

    def error(self, ratio: F64) -> F64:
        """Return |ln(actual / ideal)|, where the ideal of a range is its value nearest to the ratio."""
        made: F64 = np.abs(np.log(ratio / np.clip(ratio, self.low, self.high)))
        return made


Variant = Mapping[str, Window]


@cache
def rules(path: Path = RULES) -> dict[str, tuple[Variant, ...]]:
    """Read the ratio windows: a pattern's variants, each a window a ratio.

    Raises:
        ConfigError: an unknown ratio, or a window that is no rising pair of positive numbers.
    """
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: tuple(_variant(name, row) for row in rows) for name, rows in read.items()}


def _variant(name: str, row: Mapping[str, Any]) -> Variant:
    if unknown := set(row) - {*_RATIOS}:
        raise ConfigError(f"{name}: unknown ratio {', '.join(sorted(unknown))}; known are {', '.join(_RATIOS)}")
    return {ratio: _window(name, ratio, value) for ratio, value in row.items()}


def _window(name: str, ratio: str, value: Any) -> Window:
    low, high = value if isinstance(value, list) else (value, value)
    if not 0.0 < low <= high:
        raise ConfigError(f"{name}: the window {value} of {ratio} is no rising pair of positive numbers")
    point = low == high and ratio not in _OF_D
    return Window(float(low), float(high), POINT_TOLERANCE if point else END_TOLERANCE)
