"""The ephemeris behind the tables: JPL DE421 from its package, no network. Called by the service in a thread."""

from __future__ import annotations

from collections import OrderedDict
from importlib.resources import files
from threading import Lock
from typing import Any, Final

import numpy as np

from omega.domain import MS_NS, from_iso, iso
from omega.errors import Denied
from services.cosmic.table import HOUR_NS, Body, SkyTable

SOURCE: Final = "JPL DE421"
FIRST_NS: Final = from_iso("1899-09-01T00:00:00Z")
LAST_NS: Final = from_iso("2053-10-07T00:00:00Z")
"""What DE421 covers, less the month before an instant that the moon's age needs."""
_BEFORE_H: Final = 31 * 24
_TABLES_KEPT: Final = 8
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
    """

    def __init__(self, *, hours_ahead: int) -> None:
        self.hours_ahead = hours_ahead
        self._tables: OrderedDict[int, SkyTable] = OrderedDict()
        self._lock = Lock()
        self._ephemeris: Any = None
        self._timescale: Any = None

    def known(self, at_ns: int) -> SkyTable | None:
        """Return a table for an instant if one is there already; never computes."""
        return next((table for table in reversed(self._tables.values()) if _covers(table, at_ns)), None)

    def table(self, at_ns: int) -> SkyTable:
        """Return a table for an instant, computed when needed (some tenths of a second): call it from a thread.

        Raises:
            Denied: the ephemeris does not reach that far.
        """
        if not FIRST_NS <= at_ns < LAST_NS:
            raise Denied(
                f"the ephemeris knows the sky from {iso(FIRST_NS)} to {iso(LAST_NS)}: ask for an instant in between",
                rule="ephemeris",
            )
        with self._lock:
            table = self.known(at_ns)
            if table is None:
                table = self._tables[at_ns] = self._compute(at_ns)
                while len(self._tables) > _TABLES_KEPT:
                    self._tables.popitem(last=False)
            return table

    def close(self) -> None:
        """Close the ephemeris file."""
        with self._lock:
            if self._ephemeris is not None:
                self._ephemeris.close()
                self._ephemeris = None

    def _compute(self, at_ns: int) -> SkyTable:
        from skyfield.almanac import fraction_illuminated
        from skyfield.framelib import ecliptic_frame

        ephemeris = self._opened()
        start_ns = at_ns // HOUR_NS * HOUR_NS - _BEFORE_H * HOUR_NS
        hours = _BEFORE_H + min(self.hours_ahead, (LAST_NS - at_ns) // HOUR_NS + 1) + 1
        times = self._times(start_ns, hours)
        earth = ephemeris["earth"].at(times)
        longitudes = {}
        for body in Body:
            seen = earth.observe(ephemeris[_NAMES.get(body, body.value)]).apparent()
            longitudes[body] = np.ascontiguousarray(seen.frame_latlon(ecliptic_frame)[1].degrees, dtype=np.float64)
        illuminated = np.asarray(fraction_illuminated(ephemeris, "moon", times), dtype=np.float64)
        return SkyTable(start_ns, longitudes, illuminated)

    def _times(self, start_ns: int, hours: int) -> Any:
        # Calendar fields, not seconds since 1970: those would count the leap seconds and be 27 s early.
        moments = np.datetime64(start_ns // MS_NS, "ms").astype("M8[h]") + np.arange(hours)
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


def _covers(table: SkyTable, at_ns: int) -> bool:
    return table.start_ns + _BEFORE_H * HOUR_NS <= at_ns <= table.end_ns
