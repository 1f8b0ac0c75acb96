"""The ephemeris behind the tables: JPL DE421 from its package, no network. Called by the service in a thread.

Computed every sixth hour and between those by the polynomial through the six nearest, which is off by less than a
thousandth of a second of arc. Nutation, most of the work at a knot, is computed once a day in the same way and off by
less than a ten-thousandth. The knots lie on whole multiples since 1970, so that two tables agree on an hour.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from threading import Lock
from typing import Any, Final

import numpy as np

from omega.cosmic.table import F64, HOUR_NS, I64, Body, SkyTable
from omega.domain import from_iso, iso
from omega.errors import Denied

SOURCE: Final = "JPL DE421"
FIRST_NS: Final = from_iso("1899-09-01T00:00:00Z")
LAST_NS: Final = from_iso("2053-10-07T00:00:00Z")
"""What DE421 covers, less the month before an instant that the moon's age needs."""
_BEFORE_H: Final = 31 * 24
_TABLES_KEPT: Final = 12
STEP_H: Final = 6
NUTATION_H: Final = 24
_STENCIL: Final = 6
_CIRCLE: Final = 360.0
_NAMES: Final = {
    Body.JUPITER: "jupiter barycenter",
    Body.SATURN: "saturn barycenter",
    Body.URANUS: "uranus barycenter",
    Body.NEPTUNE: "neptune barycenter",
    Body.PLUTO: "pluto barycenter",
}
"""DE421 has no centres for the outer planets."""


class Sky:
    """Makes and keeps sky tables.

    Attributes:
        hours_ahead: how much of each table lies after the instant it was made for.
        bodies: whose longitudes the tables hold; the Sun and the Moon always are among them.
    """

    def __init__(self, *, hours_ahead: int, bodies: Collection[Body] = tuple(Body)) -> None:
        self.hours_ahead = hours_ahead
        self.bodies = tuple(body for body in Body if body in {Body.SUN, Body.MOON, *bodies})
        # Replaced and never changed: the event loop looks through it while a thread computes.
        self._tables: tuple[SkyTable, ...] = ()
        self._lock = Lock()
        self._ephemeris: Any = None
        self._timescale: Any = None

    def known(self, at_ns: int, until_ns: int | None = None) -> SkyTable | None:
        """Return a table for an instant, or a span from there, if one is there already; never computes."""
        last_ns = at_ns if until_ns is None else until_ns
        return next((table for table in reversed(self._tables) if _covers(table, at_ns, last_ns)), None)

    def table(self, at_ns: int, until_ns: int | None = None) -> SkyTable:
        """Return a table for an instant, or a span from there, computed when needed (0.2 s a year, 0.1 for two bodies).

        Call it from a thread.

        Raises:
            Denied: the ephemeris does not reach that far.
        """
        if not FIRST_NS <= at_ns < LAST_NS:
            raise Denied(
                f"the ephemeris knows the sky from {iso(FIRST_NS)} to {iso(LAST_NS)}: ask for an instant in between",
                rule="ephemeris",
            )
        with self._lock:
            last_ns = at_ns if until_ns is None else min(until_ns, LAST_NS)
            table = self.known(at_ns, last_ns)
            if table is None:
                table = self._compute(at_ns, max(self.hours_ahead, (last_ns - at_ns) // HOUR_NS + 1))
                self._tables = (*self._tables, table)[-_TABLES_KEPT:]
            return table

    def close(self) -> None:
        """Close the ephemeris file."""
        with self._lock:
            if self._ephemeris is not None:
                self._ephemeris.close()
                self._ephemeris = None

    def _compute(self, at_ns: int, hours_ahead: int) -> SkyTable:
        start_h = at_ns // HOUR_NS - _BEFORE_H
        hours = start_h + np.arange(_BEFORE_H + min(hours_ahead, (LAST_NS - at_ns) // HOUR_NS + 1) + 1)
        knots = _knots(hours, STEP_H)
        earth = self._earth(knots)
        earth.t._nutation_angles_radians = self._nutation(knots)  # noqa: SLF001 - skyfield documents it as the way
        seen = {body: [_between(row, knots, hours) for row in self._seen(earth, body)] for body in self.bodies}
        (moon, latitude, moon_au), (sun, _, sun_au) = seen[Body.MOON], seen[Body.SUN]
        longitudes = {body: rows[0] for body, rows in seen.items()}
        return SkyTable(start_h * HOUR_NS, longitudes, _illuminated(moon - sun, latitude, moon_au, sun_au))

    def _earth(self, hours: I64) -> Any:
        """Return where the Earth is at hours since 1970."""
        return self._opened()["earth"].at(self._times(hours))

    def _nutation(self, hours: I64) -> tuple[F64, F64]:
        """Return nutation in longitude and in obliquity at hours since 1970, in radians.

        Its shortest term of weight, 13.7 days, is smooth from day to day.
        """
        from skyfield.nutationlib import iau2000a_radians

        days = _knots(hours, NUTATION_H)
        longitude, obliquity = iau2000a_radians(self._times(days))
        return _between(longitude, days, hours), _between(obliquity, days, hours)

    def _seen(self, earth: Any, body: Body) -> tuple[F64, F64, F64]:
        """Return apparent longitude (unbroken at 360) and latitude of date in degrees, and the distance in au."""
        from skyfield.framelib import ecliptic_frame

        seen = earth.observe(self._opened()[_NAMES.get(body, body.value)]).apparent()
        latitude, longitude, distance = seen.frame_latlon(ecliptic_frame)
        return np.unwrap(longitude.degrees, period=_CIRCLE), latitude.degrees, distance.au

    def _times(self, hours: I64) -> Any:
        # Calendar fields, not seconds since 1970: those would count the leap seconds and be 27 s early.
        moments = np.datetime64("1970-01-01T00", "h") + hours
        days, months = moments.astype("M8[D]"), moments.astype("M8[M]")
        return self._timescale.utc(
            moments.astype("M8[Y]").astype(int) + 1970,
            months.astype(int) % 12 + 1,
            (days - months.astype("M8[D]")).astype(int) + 1,
            (moments - days.astype("M8[h]")).astype(int),
        )

    def _opened(self) -> Any:
        if self._ephemeris is None:
            from skyfield.api import load, load_file

            # The package's own path function warns about a file of earth rotation that is not used here.
            self._ephemeris = load_file(str(files("skyfield_data") / "data" / "de421.bsp"))
            self._timescale = load.timescale(builtin=True)
        return self._ephemeris


def _covers(table: SkyTable, at_ns: int, last_ns: int) -> bool:
    return table.start_ns + _BEFORE_H * HOUR_NS <= at_ns and last_ns <= table.end_ns


def _knots(hours: I64, step: int) -> I64:
    """Return the multiples of a step around rising hours, with as many beyond both ends as the polynomial needs."""
    first, last = int(hours[0]) // step - _STENCIL // 2, int(hours[-1]) // step + _STENCIL // 2 + 1
    return np.arange(first, last + 1) * step


def _between(values: F64, knots: I64, hours: I64) -> F64:
    """Return values at hours from those at even knots, by Lagrange's polynomial of degree five."""
    step = int(knots[1] - knots[0])
    left, part = hours // step - int(knots[0]) // step, hours % step
    offsets = range(1 - _STENCIL // 2, _STENCIL // 2 + 1)
    made = np.zeros(hours.shape)
    for mine in offsets:
        weights = np.ones(step)
        for other in offsets:
            if other != mine:
                weights *= (np.arange(step) / step - other) / (mine - other)
        made += weights[part] * values[left + mine]
    return made


def _illuminated(elongation: F64, latitude: F64, moon_au: F64, sun_au: F64) -> F64:
    """Return the illuminated fraction of the disc.

    Units: degrees of longitude from the Sun and of the Moon's latitude; distances from the Earth in au.
    Source: Meeus, Astronomical Algorithms, chapter 48: the phase angle from the geocentric elongation.
    """
    cosine = np.cos(np.radians(latitude)) * np.cos(np.radians(elongation))
    angle = np.arctan2(sun_au * np.sqrt(1.0 - cosine * cosine), moon_au - sun_au * cosine)
    return np.asarray((1.0 + np.cos(angle)) / 2.0, dtype=np.float64)
