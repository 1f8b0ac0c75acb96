"""Times of candle files and command lines as int nanoseconds UTC, whatever unit they were written in.

Called by the file readers and by `read_market`. The ranges of the units do not overlap, so a unit is never guessed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.domain.time import SECOND_NS, from_iso, iso
from omega.engine.bars import I64
from omega.errors import ConfigError, CorruptData
from omega.storage.lake.place import Place

EARLIEST_NS: Final = 946_684_800 * SECOND_NS
"""2000-01-01; no recorded market that a bot trades is older."""
LATEST_NS: Final = 4_102_444_800 * SECOND_NS
"""2100-01-01."""
_UNITS: Final = (("s", SECOND_NS), ("ms", 1_000_000), ("us", 1_000), ("ns", 1))
_WEEK_NS: Final = 604_800 * SECOND_NS
_MONDAY_NS: Final = 4 * 86_400 * SECOND_NS
"""1970-01-01 was a Thursday; exchanges open their weekly bars on Monday."""
_LETTERS: Final = (("w", _WEEK_NS), ("d", 86_400 * SECOND_NS), ("h", 3_600 * SECOND_NS), ("m", 60 * SECOND_NS))


def to_ns(raw: I64, place: Place) -> I64:
    """Turn integers of seconds, ms, us or ns into ns; one file keeps to one unit.

    Raises:
        CorruptData: a value lies in no unit's range, or in another unit's than the first row.
    """
    if not len(raw):
        return raw.astype(np.int64)
    unit, factor = _unit(int(raw[0]), place)
    low, high = EARLIEST_NS // factor, LATEST_NS // factor
    if raw.min() < low or raw.max() >= high:
        row = int(((raw < low) | (raw >= high)).argmax())
        raise CorruptData(
            f"{place.at(row, 'ts')}: {int(raw[row])} is no time in {unit} between 2000 and 2100, as the first row's "
            "is; repair the row"
        )
    return np.ascontiguousarray(raw * np.int64(factor))


def to_ns_or_none(raw: int) -> int | None:
    """Turn one integer of s, ms, us or ns into ns; nothing when it lies in no unit's range."""
    for _, factor in _UNITS:
        if EARLIEST_NS // factor <= raw < LATEST_NS // factor:
            return raw * factor
    return None


def instant_ns(value: int | str | None, default: int) -> int:
    """Read the end of a range: ns, an ISO time, or nothing for the default.

    Raises:
        ConfigError: the text is no instant.
    """
    if value is None or value == "":
        return default
    return value if isinstance(value, int) else from_iso(value)


def timeframe_text(timeframe_ns: int) -> str:
    """Write a length as the exchanges do: 60 s are `1m`, 4 hours `4h`.

    Raises:
        ConfigError: it is no whole number of minutes.
    """
    for letter, length in _LETTERS:
        if timeframe_ns > 0 and timeframe_ns % length == 0:
            return f"{timeframe_ns // length}{letter}"
    raise ConfigError(f"{timeframe_ns} ns are no timeframe: bars last whole minutes; name it, as in 1m or 4h")


def origin_ns(timeframe_ns: int) -> int:
    """Return the instant that bars of this length are counted from: the epoch, a Monday for weeks."""
    return _MONDAY_NS if timeframe_ns % _WEEK_NS == 0 else 0


def span_text(from_ns: int, to_ns: int) -> str:
    """Write a range for people; open ends are left out."""
    ends = ((f"from {iso(from_ns)}", from_ns > EARLIEST_NS), (f"before {iso(to_ns)}", to_ns < LATEST_NS))
    return " ".join(text for text, named in ends if named) or "at any time"


def _unit(first: int, place: Place) -> tuple[str, int]:
    for name, factor in _UNITS:
        if EARLIEST_NS // factor <= first < LATEST_NS // factor:
            return name, factor
    raise CorruptData(
        f"{place.at(0, 'ts')}: {first} is no time between 2000 and 2100 in s, ms, us or ns since 1970; ts is the bar's "
        "open time, write it so or as ISO 8601"
    )
