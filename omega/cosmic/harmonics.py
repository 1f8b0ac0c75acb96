"""A small matcher of XABCD patterns over confirmed pivots, its ratio windows read from validated YAML.

Pure; called by the cosmic service. Pivots are the caller's: a pattern is known from the bar that confirms its D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf, isfinite, log
from pathlib import Path
from typing import Any, Final

import yaml

from omega.errors import ConfigError, CorruptData

Window = tuple[float, float]
POINT: Final = 0.03
"""Tolerance of a point ratio, relative."""
POINT_D: Final = 0.02
"""Tolerance of a ratio that places D, and of the ends of every range."""
_RATIOS: Final = ("ab", "bc", "cd", "ad", "xc", "dx")
_PLACES_D: Final = frozenset({"ad", "dx"})
_POINTS: Final = 5


@dataclass(frozen=True, slots=True)
class Pivot:
    """A confirmed turn: the row (or instant) of its extreme and the price there."""

    at: int
    price: float


@dataclass(frozen=True, slots=True)
class Match:
    """One pattern at five pivots.

    Attributes:
        bullish: whether D is a low.
        ratios: every ratio that the pattern asks for.
        score: sum of |ln(actual / nearest allowed)| over them; 0 is inside every window, smaller is better.
    """

    name: str
    bullish: bool
    points: tuple[Pivot, ...]
    ratios: Mapping[str, float]
    score: float


@cache
def harmonic_windows(path: Path | None = None) -> Mapping[str, Mapping[str, Window]]:
    """Return the ratio windows by pattern, the project's own without a path.

    Raises:
        ConfigError: a pattern names an unknown ratio, or a window that is no positive number or rising pair.
    """
    source = path or files("omega.cosmic") / "harmonic_patterns.yaml"
    try:
        found = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{source} cannot be read ({error}); repair the file") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{source} holds no mapping; write one pattern a line")
    return {str(name): _windows(str(name), given) for name, given in found.items()}


def find_patterns(
    pivots: Sequence[Pivot], windows: Mapping[str, Mapping[str, Window]] | None = None
) -> tuple[Match, ...]:
    """Return every pattern at every five pivots in a row, the best score first.

    Raises:
        CorruptData: the pivots do not alternate between high and low, or a price is not above zero.
    """
    _check(pivots)
    chosen = harmonic_windows() if windows is None else windows
    found = []
    for first in range(len(pivots) - _POINTS + 1):
        points = tuple(pivots[first : first + _POINTS])
        ratios = _ratios(points)
        for name, pattern in chosen.items():
            misses = [_miss(ratio, ratios[ratio], window) for ratio, window in pattern.items()]
            if max(misses) < inf:
                mine = {ratio: ratios[ratio] for ratio in pattern}
                found.append(Match(name, points[4].price < points[3].price, points, mine, sum(misses)))
    return tuple(sorted(found, key=lambda match: match.score))


def _ratios(points: Sequence[Pivot]) -> dict[str, float]:
    x, a, b, c, d = (point.price for point in points)
    xa, ab, bc, cd = abs(a - x), abs(b - a), abs(c - b), abs(d - c)
    # XC is measured in the direction of XA: a C on the wrong side of X has none.
    xc = max((c - x) * (1.0 if a > x else -1.0), 0.0)
    return {
        "ab": ab / xa,
        "bc": bc / ab,
        "cd": cd / bc,
        "ad": abs(d - a) / xa,
        "xc": xc / xa,
        "dx": cd / xc if xc > 0.0 else inf,
    }


def _miss(ratio: str, actual: float, window: Window) -> float:
    low, high = window
    slack = POINT if low == high and ratio not in _PLACES_D else POINT_D
    if not low * (1.0 - slack) <= actual <= high * (1.0 + slack):
        return inf
    return abs(log(actual / min(max(actual, low), high)))


def _check(pivots: Sequence[Pivot]) -> None:
    if not all(isfinite(pivot.price) and pivot.price > 0.0 for pivot in pivots):
        raise CorruptData("a pivot's price is not above zero; repair or leave out that row")
    for one, two, three in zip(pivots, pivots[1:], pivots[2:], strict=False):
        if (two.price - one.price) * (three.price - two.price) >= 0.0:
            raise CorruptData(f"the pivots at {one.at}, {two.at} and {three.at} do not alternate; merge those between")


def _windows(name: str, given: Any) -> dict[str, Window]:
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"{name}: give at least one of {', '.join(_RATIOS)}")
    found = {}
    for ratio, bounds in given.items():
        low, high = bounds if isinstance(bounds, list) and len(bounds) == len(("low", "high")) else (bounds, bounds)
        sound = all(isinstance(end, int | float) and not isinstance(end, bool) and end > 0 for end in (low, high))
        if ratio not in _RATIOS or not sound or low > high:
            raise ConfigError(f"{name}.{ratio} = {bounds!r} is no window; write a ratio above 0 or [lowest, highest]")
        found[str(ratio)] = (float(low), float(high))
    return found
