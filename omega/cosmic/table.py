"""An hourly table of the sky and what is read from it by interpolation. Pure numpy; made by `sky`, read by factors.

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

from omega.domain import SECOND_NS, iso
from omega.errors import InvariantBroken

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
HOUR_NS: Final = 3_600 * SECOND_NS
_HOURS_A_DAY: Final = 24.0
_CIRCLE: Final = 360.0
_HALF: Final = 180.0


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
    """Hourly longitudes of the bodies, of all or of some, and the moon's illuminated fraction.

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

    def positions(self, at_ns: int) -> dict[Body, float]:
        """Return the ecliptic longitude of date of every body in the table in degrees, [0, 360)."""
        return {body: self.longitude(body, at_ns) for body in self._longitudes}

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

    def crossings(self, body: Body, step: float) -> list[tuple[int, float]]:
        """Return (instant, longitude) wherever a body that never turns back passes a multiple of `step` degrees."""
        column = self._longitudes[body]
        first, last = (int(np.ceil(edge / step)) for edge in (column[0], column[-1]))
        instants = np.interp(np.arange(first, last) * step, column, self._hours)
        return [
            (self.start_ns + round(float(hour) * HOUR_NS), n * step % _CIRCLE)
            for n, hour in zip(range(first, last), instants, strict=True)
        ]

    def exact_aspects(self, a: Body, b: Body) -> list[tuple[int, str]]:
        """Return (instant, name) of every exact aspect of two bodies, in order of time."""
        apart = np.unwrap(self._longitudes[a] - self._longitudes[b], period=_CIRCLE)
        found = []
        for name, angle in ASPECTS.items():
            for side in {angle, -angle % _CIRCLE}:
                turns = (apart - side) / _CIRCLE
                for hour in np.flatnonzero(np.floor(turns[1:]) != np.floor(turns[:-1])):
                    before, after = turns[hour], turns[hour + 1]
                    part = (np.floor(max(before, after)) - before) / (after - before)
                    found.append((self.start_ns + round((int(hour) + float(part)) * HOUR_NS), name))
        return sorted(found)

    def moon(self, at_ns: int) -> dict[str, str | float]:
        """Return phase, elongation (degrees), illuminated fraction and age (days), and the next principal phase."""
        following = next((moment for moment in self.moon_phases() if moment[0] > at_ns), None)
        moon: dict[str, str | float] = {
            "phase": self.moon_phase(at_ns).value,
            "elongation": self.moon_elongation(at_ns),
            "illuminated": self.moon_illumination(at_ns),
            "age_days": self.moon_age_days(at_ns),
        }
        return moon | ({"next_phase": following[1].value, "next_at": iso(following[0])} if following else {})

    def mercury(self, at_ns: int) -> dict[str, str | float | bool]:
        """Return whether Mercury is retrograde, its longitude (degrees), speed, and when it turns."""
        following = next((station for station in self.stations(Body.MERCURY) if station.ts_ns > at_ns), None)
        mercury: dict[str, str | float | bool] = {
            "retrograde": self.is_retrograde(Body.MERCURY, at_ns),
            "longitude": self.longitude(Body.MERCURY, at_ns),
            "degrees_a_day": self.speed(Body.MERCURY, at_ns),
        }
        return mercury | ({"turns_at": iso(following.ts_ns)} if following else {})

    def _station(self, speed: F64, hour: int) -> Station:
        before, after = speed[hour], speed[hour + 1]
        part = before / (before - after)
        return Station(self.start_ns + round((hour + part) * HOUR_NS), bool(after < before))

    def _read(self, values: F64, at_ns: int) -> float:
        if not self.start_ns <= at_ns <= self.end_ns:
            raise InvariantBroken(
                f"the sky table covers {self.start_ns} to {self.end_ns}, not {at_ns}: ask `Sky.table` first"
            )
        hour, rest = divmod(at_ns - self.start_ns, HOUR_NS)
        before = float(values[hour])
        return before + (float(values[hour + 1]) - before) * (rest / HOUR_NS) if rest else before

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
_TONE: Final = {"conjunction": 0.0, "sextile": 1.0, "square": -1.0, "trine": 1.0, "opposition": -1.0}
WIDEST: Final = 30.0
"""The widest orb that may be asked for, in degrees: the smallest distance between two aspects."""
ORBS: Final = {"conjunction": 8.0, "sextile": 4.0, "square": 6.0, "trine": 6.0, "opposition": 8.0}
"""How far from exact an aspect still counts, in degrees, unless the asker says otherwise."""


def aspects_of(positions: Mapping[Body, float], orbs: Mapping[str, float] = ORBS) -> tuple[Aspect, ...]:
    """Return the aspects among longitudes in degrees, the most exact first."""
    found: list[Aspect] = []
    wanted = [(name, angle, orbs[name]) for name, angle in ASPECTS.items() if name in orbs]
    bodies = list(positions.items())
    for index, (a, at) in enumerate(bodies):
        for b, other in bodies[index + 1 :]:
            apart = separation(at, other)
            found += [
                Aspect(a, b, name, apart, abs(apart - angle))
                for name, angle, orb in wanted
                if -orb <= apart - angle <= orb
            ]
    return tuple(sorted(found, key=lambda aspect: aspect.off))


def _windows(orbs: Mapping[str, float]) -> list[tuple[float, float, float, float, float]]:
    """Return (lowest, highest, exact angle, orb, tone) of every aspect with an orb, by rising lowest angle."""
    return sorted(
        (ASPECTS[name] - orb, ASPECTS[name] + orb, ASPECTS[name], orb, _TONE[name])
        for name, orb in orbs.items()
        if orb > 0.0
    )


_WINDOWS: Final = _windows(ORBS)


def aspect_balance(positions: Mapping[Body, float], orbs: Mapping[str, float] = ORBS) -> float:
    """Return how far harmonious aspects outweigh tense ones, in [-1, 1]; 0.0 without an aspect.

    Trine and sextile count for, square and opposition against, a conjunction neither way; each by its exactness, 1 at
    the exact angle and 0 at the end of its orb. What counts for which side is the lore's own claim, nothing more.
    """
    windows = _WINDOWS if orbs is ORBS else _windows(orbs)
    places = list(positions.values())
    total = balance = 0.0
    for index, one in enumerate(places):
        for other in places[index + 1 :]:
            apart = one - other if one > other else other - one
            if apart > _HALF:
                apart = _CIRCLE - apart
            for low, high, angle, orb, tone in windows:
                if apart < low:
                    break
                if apart <= high:
                    weight = 1.0 - (apart - angle if apart > angle else angle - apart) / orb
                    total += weight
                    balance += weight * tone
    return balance / total if total > 0.0 else 0.0


def separation(a: float, b: float) -> float:
    """Return the angle between two longitudes in degrees, [0, 180]."""
    apart = abs(a - b) % _CIRCLE
    return min(apart, _CIRCLE - apart)
