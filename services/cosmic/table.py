"""An hourly table of the sky and what is read from it by interpolation. Pure numpy; made by `sky`, read by the factors.

Longitudes are geocentric, apparent, in the true ecliptic and equinox of date. Between two hours the interpolation is
wrong by at most 0.4 seconds of arc (Moon) and the illuminated fraction by 0.00001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omega.domain import SECOND_NS
from omega.errors import InvariantBroken

F64 = NDArray[np.float64]
HOUR_NS: Final = 3_600 * SECOND_NS
_HOURS_A_DAY: Final = 24.0
_CIRCLE: Final = 360.0


class Body(StrEnum):
    """What is looked at."""

    SUN = "sun"
    MOON = "moon"
    MERCURY = "mercury"
    VENUS = "venus"
    MARS = "mars"
    JUPITER = "jupiter"
    SATURN = "saturn"
    URANUS = "uranus"
    NEPTUNE = "neptune"
    PLUTO = "pluto"


class MoonPhase(StrEnum):
    """The eight phases, each a sector of 45 degrees of elongation that is centred on its instant."""

    NEW = "new"
    WAXING_CRESCENT = "waxing_crescent"
    FIRST_QUARTER = "first_quarter"
    WAXING_GIBBOUS = "waxing_gibbous"
    FULL = "full"
    WANING_GIBBOUS = "waning_gibbous"
    LAST_QUARTER = "last_quarter"
    WANING_CRESCENT = "waning_crescent"


_PHASES: Final = tuple(MoonPhase)
_SECTOR: Final = _CIRCLE / len(_PHASES)
_PRINCIPAL: Final = (MoonPhase.NEW, MoonPhase.FIRST_QUARTER, MoonPhase.FULL, MoonPhase.LAST_QUARTER)


@dataclass(frozen=True, slots=True)
class Station:
    """The instant at which a planet seems to stand still; `retrograde` tells what it does afterwards."""

    ts_ns: int
    retrograde: bool


def phase_of(elongation: float) -> MoonPhase:
    """Return the phase of an elongation in degrees: new is [337.5, 22.5), and so on in steps of 45."""
    return _PHASES[int(((elongation + _SECTOR / 2) % _CIRCLE) // _SECTOR)]


class SkyTable:
    """Hourly longitudes of ten bodies and the moon's illuminated fraction.

    Attributes:
        start_ns: the first hour.
        end_ns: the last hour.
    """

    def __init__(self, start_ns: int, longitudes: Mapping[Body, F64], illuminated: F64) -> None:
        self.start_ns = start_ns
        self._hours = np.arange(illuminated.size, dtype=np.float64)
        self.end_ns = start_ns + (illuminated.size - 1) * HOUR_NS
        self._longitudes = {body: np.unwrap(values, period=_CIRCLE) for body, values in longitudes.items()}
        self._speeds = {body: np.gradient(values) * _HOURS_A_DAY for body, values in self._longitudes.items()}
        self._illuminated = illuminated
        self._elongation = self._longitudes[Body.MOON] - self._longitudes[Body.SUN]
        self._elongation -= _CIRCLE * (self._elongation[0] // _CIRCLE)

    def longitude(self, body: Body, at_ns: int) -> float:
        """Return the ecliptic longitude of date in degrees, [0, 360)."""
        return self._read(self._longitudes[body], at_ns) % _CIRCLE

    def speed(self, body: Body, at_ns: int) -> float:
        """Return how fast the longitude grows, in degrees a day."""
        return self._read(self._speeds[body], at_ns)

    def is_retrograde(self, body: Body, at_ns: int) -> bool:
        """Tell whether the longitude falls; the almanac's `stationary` (right ascension) is another thing."""
        return self.speed(body, at_ns) < 0

    def moon_elongation(self, at_ns: int) -> float:
        """Return longitude of the Moon minus that of the Sun in degrees, [0, 360)."""
        return self._read(self._elongation, at_ns) % _CIRCLE

    def moon_phase(self, at_ns: int) -> MoonPhase:
        """Return the phase by elongation, never by the illuminated fraction."""
        return phase_of(self.moon_elongation(at_ns))

    def moon_illumination(self, at_ns: int) -> float:
        """Return the illuminated fraction of the moon's disc, [0, 1]."""
        return self._read(self._illuminated, at_ns)

    def moon_age_days(self, at_ns: int) -> float:
        """Return the time since the last new moon in days.

        Raises:
            InvariantBroken: the table has no new moon before the instant.
        """
        turns = self._read(self._elongation, at_ns) // _CIRCLE
        if turns < 1:
            raise InvariantBroken(
                f"the sky table from {self.start_ns} has no new moon before {at_ns}: begin it earlier"
            )
        return (at_ns - self._when(turns * _CIRCLE)) / (HOUR_NS * _HOURS_A_DAY)

    def moon_phases(self) -> list[tuple[int, MoonPhase]]:
        """Return the instants of the four principal phases in the table."""
        quarter = _CIRCLE / len(_PRINCIPAL)
        first, last = (int(np.ceil(edge / quarter)) for edge in (self._elongation[0], self._elongation[-1]))
        return [(self._when(n * quarter), _PRINCIPAL[n % len(_PRINCIPAL)]) for n in range(first, last)]

    def stations(self, body: Body) -> list[Station]:
        """Return the instants at which a planet's longitude turns back or forth."""
        speed = self._speeds[body]
        turns = np.flatnonzero(np.signbit(speed[1:]) != np.signbit(speed[:-1]))
        return [self._station(speed, int(hour)) for hour in turns]

    def _station(self, speed: F64, hour: int) -> Station:
        before, after = speed[hour], speed[hour + 1]
        part = before / (before - after)
        return Station(self.start_ns + round((hour + part) * HOUR_NS), bool(after < before))

    def _read(self, values: F64, at_ns: int) -> float:
        if not self.start_ns <= at_ns <= self.end_ns:
            raise InvariantBroken(
                f"the sky table covers {self.start_ns} to {self.end_ns}, not {at_ns}: ask `Sky.table` first"
            )
        return float(np.interp((at_ns - self.start_ns) / HOUR_NS, self._hours, values))

    def _when(self, elongation: float) -> int:
        return self.start_ns + round(float(np.interp(elongation, self._elongation, self._hours)) * HOUR_NS)


@dataclass(frozen=True, slots=True)
class Aspect:
    """Two bodies at a significant angle; `off` is how far from exact, in degrees."""

    a: Body
    b: Body
    name: str
    separation: float
    off: float


ASPECTS: Final = {"conjunction": 0.0, "sextile": 60.0, "square": 90.0, "trine": 120.0, "opposition": 180.0}
ORBS: Final = {"conjunction": 8.0, "sextile": 4.0, "square": 6.0, "trine": 6.0, "opposition": 8.0}
"""How far from exact an aspect still counts, in degrees, unless the asker says otherwise."""


def aspects_of(positions: Mapping[Body, float], orbs: Mapping[str, float] = ORBS) -> tuple[Aspect, ...]:
    """Return the aspects among longitudes in degrees, the most exact first."""
    found: list[Aspect] = []
    bodies = list(positions)
    for index, a in enumerate(bodies):
        for b in bodies[index + 1 :]:
            apart = separation(positions[a], positions[b])
            for name, angle in ASPECTS.items():
                if abs(apart - angle) <= orbs.get(name, 0.0):
                    found.append(Aspect(a, b, name, apart, abs(apart - angle)))
    return tuple(sorted(found, key=lambda aspect: aspect.off))


def separation(a: float, b: float) -> float:
    """Return the angle between two longitudes in degrees, [0, 180]."""
    apart = abs(a - b) % _CIRCLE
    return min(apart, _CIRCLE - apart)
