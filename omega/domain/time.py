"""Time as the farm writes it: int nanoseconds UTC. Reading the clock is the edges' business, not the domain's."""

from __future__ import annotations

from datetime import UTC, datetime

from omega.errors import ConfigError

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
MINUTE_NS = 60 * SECOND_NS

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def timeframe_ns(timeframe: str) -> int:
    """Return the length of a timeframe such as `1m`, `4h`, `1d` in nanoseconds.

    Raises:
        ConfigError: the text is no timeframe.
    """
    number, unit = timeframe[:-1], timeframe[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) == 0:
        raise ConfigError(f"{timeframe!r} is no timeframe: write a number and one of m, h, d, w, as in 1m or 4h")
    return int(number) * _UNITS[unit] * SECOND_NS


def iso(ts_ns: int) -> str:
    """Write an instant as ISO 8601 UTC with milliseconds."""
    moment = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ts_ns % SECOND_NS // MS_NS:03d}Z"


def from_iso(text: str) -> int:
    """Read an ISO 8601 instant; without an offset it is UTC.

    Raises:
        ConfigError: the text is no instant.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no instant: write it as in 2025-05-20T00:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * SECOND_NS + moment.microsecond * 1000
