"""Lower bars made into higher ones, equal to what an exchange publishes. Called by `read_market` and the CLI.

Open is the first, high the highest, low the lowest, close the last. Volumes are decimals, so they are added as whole
numbers of their last digit: the sum does not depend on the order, and is the very number that the exchange prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64, I64, Bars, Flags
from omega.errors import ConfigError
from omega.storage.lake.stamps import origin_ns, timeframe_text

_DIGITS: Final = (8, 6, 4, 3, 2, 1, 0)
_EXACT: Final = 2.0**53


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Higher bars and how much of each was recorded.

    Shapes: parts is (n,), aligned with bars: how many lower bars went into each.
    Units: whole is the number of lower bars of a complete bucket; dropped counts the lower bars of the first and last
        bucket that were left out because the record begins or ends inside them.
    """

    bars: Bars
    parts: I64
    whole: int
    dropped: int

    @property
    def partial(self) -> Flags:
        """Which bars are made across a gap and lack lower bars."""
        return self.parts < self.whole


def resample(bars: Bars, from_timeframe_ns: int, to_timeframe_ns: int) -> Resampled:
    """Make higher bars of lower ones.

    A bucket that the record only begins or ends in is left out, since its open or close is not recorded. A bucket with
    a gap inside is kept and marked, as an exchange keeps the hour in which it stood still. A bucket without any bar
    stays a gap.

    Raises:
        ConfigError: the higher timeframe is no multiple of the lower one.
    """
    whole = _ratio(from_timeframe_ns, to_timeframe_ns)
    first, last = _inner(bars.ts, from_timeframe_ns, to_timeframe_ns)
    inner = Bars(*(getattr(bars, name)[first:last] for name in ("ts", "open", "high", "low", "close", "volume")))
    if not inner.n:
        return Resampled(inner, np.zeros(0, dtype=np.int64), whole, bars.n)
    buckets = (inner.ts - origin_ns(to_timeframe_ns)) // to_timeframe_ns
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    ends = np.append(starts[1:], inner.n)
    made = Bars(
        buckets[starts] * to_timeframe_ns + origin_ns(to_timeframe_ns),
        inner.open[starts],
        np.maximum.reduceat(inner.high, starts),
        np.minimum.reduceat(inner.low, starts),
        inner.close[ends - 1],
        _sums(inner.volume, starts),
    )
    return Resampled(made, ends - starts, whole, bars.n - inner.n)


def _ratio(lower_ns: int, higher_ns: int) -> int:
    aligned = (origin_ns(higher_ns) - origin_ns(lower_ns)) % lower_ns == 0
    if higher_ns < lower_ns or higher_ns % lower_ns or not aligned:
        raise ConfigError(
            f"{timeframe_text(higher_ns)} bars cannot be made of {timeframe_text(lower_ns)} bars: choose a whole "
            "multiple"
        )
    return higher_ns // lower_ns


def _inner(ts: I64, lower_ns: int, higher_ns: int) -> tuple[int, int]:
    """Return the rows between the first bucket's open and the last bucket's close that the record reaches."""
    if not len(ts):
        return 0, 0
    origin = origin_ns(higher_ns)
    open_ns = -(-(int(ts[0]) - origin) // higher_ns) * higher_ns + origin
    close_ns = (int(ts[-1]) + lower_ns - origin) // higher_ns * higher_ns + origin
    first, last = np.searchsorted(ts, (open_ns, close_ns))
    return int(first), max(int(first), int(last))


def _sums(volume: F64, starts: I64) -> F64:
    """Add the volumes of each bucket exactly where they are decimals of up to eight digits, else as floats."""
    for digits in _DIGITS:
        scale = 10.0**digits
        units = np.rint(volume * scale)
        if units.sum() < _EXACT and (units / scale == volume).all():
            return np.add.reduceat(units, starts) / scale
    return np.add.reduceat(volume, starts)
