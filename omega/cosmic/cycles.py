"""Cycles of a price series: spectral power at chosen periods, dominant periods, next turning times. Never without p.

Pure; called by the cosmic service. The null hypothesis is a random walk of the very same steps: their order is drawn
anew, so that the steep spectrum of any price path alone is no cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, pi
from typing import Final

import numpy as np

from omega.cosmic.golden import DRAWS, Tested, finite
from omega.engine.bars import F64, I64
from omega.errors import CorruptData

LEAST: Final = 32
"""Values that an analysis needs."""
PERIODS: Final = (8, 13, 21, 34, 55, 89)
"""Where resonance is looked for, in bars, unless the asker says otherwise."""
_ZONES: Final = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
_SHORTEST: Final = 2.0
_MOST: Final = 3
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Resonance(Tested):
    """Spectral power at chosen periods.

    Attributes:
        powers: (period in bars, share of the whole power) by period; shares in [0, 1].
        p_values: of each period, alone.
        p_value: that any of the periods stands out, all of them counted; in (0, 1].
    """

    powers: tuple[tuple[float, float], ...]
    p_values: tuple[float, ...]
    p_value: float


@dataclass(frozen=True, slots=True)
class Cycle:
    """One dominant period.

    Units: period, next_high and next_low in bars, the latter two counted from the last value; share of the whole power
        in [0, 1]; p_value against the largest of all frequencies.
    """

    period: float
    share: float
    next_high: float
    next_low: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Cycles(Tested):
    """The dominant periods, the strongest first, and Fibonacci time zones.

    Attributes:
        zones: bars after the last value at which a zone counted from the series' highest or lowest value falls.
        p_value: of the strongest cycle.
        confidence: 1 - p_value, and 0 unless it is significant.
    """

    cycles: tuple[Cycle, ...]
    zones: tuple[int, ...]
    p_value: float

    @property
    def confidence(self) -> float:
        """How much the strongest cycle may be believed, in [0, 1]."""
        return 1.0 - self.p_value if self.significant else 0.0


def resonance_at(
    series: Sequence[float], periods: Sequence[float] = (), *, draws: int = DRAWS, seed: int = 7
) -> Resonance:
    """Return the share of spectral power of the detrended log price at the frequencies nearest to some periods.

    Args:
        series: prices, oldest first, all above zero.
        periods: in bars, from 2 to the length of the series; those of PERIODS that fit when empty.
        draws: random orders of the steps.
        seed: of those.

    Raises:
        CorruptData: the series is too short or holds a value that is not above zero, or a period does not fit.
    """
    logs = _logs(series)
    periods = periods or [period for period in PERIODS if period <= logs.size]
    if not all(_SHORTEST <= period <= logs.size for period in periods):
        raise CorruptData(f"periods {list(periods)} do not lie between 2 and the {logs.size} values; choose others")
    nearest: I64 = np.rint(logs.size / np.asarray(periods, dtype=np.float64)).astype(np.int64)
    bins = np.minimum(nearest, logs.size // 2)  # of an odd number of values no frequency is exactly a half
    real, chance = _spectra(logs, draws, seed)
    mine, drawn = real[bins], chance[:, bins]
    single = (1.0 + (drawn >= mine).sum(axis=0)) / (draws + 1.0)
    usual = drawn.mean(axis=0)
    together = (1.0 + ((drawn / usual).max(axis=1) >= (mine / usual).max()).sum()) / (draws + 1.0)
    powers = tuple((float(period), float(power)) for period, power in zip(periods, mine, strict=True))
    return Resonance(powers, tuple(single.tolist()), float(together))


def dominant_cycles(series: Sequence[float], *, draws: int = DRAWS, seed: int = 7) -> Cycles:
    """Find the periods whose power stands out most from random walks of the same steps.

    Source: periodogram of the detrended log price; each frequency beside its mean under the null hypothesis, and the
        largest such ratio against the largest one of every draw, so that all frequencies are counted.

    Raises:
        CorruptData: the series is too short or holds a value that is not above zero.
    """
    logs = _logs(series)
    real, chance = _spectra(logs, draws, seed)
    usual = chance[:, 2:].mean(axis=0)
    ratios, largest = real[2:] / usual, (chance[:, 2:] / usual).max(axis=1)
    peaks = [row for row in np.argsort(ratios)[::-1] if ratios[row] == ratios[max(row - 1, 0) : row + 2].max()][:_MOST]
    found = []
    for row in peaks:
        p_value = (1.0 + float((largest >= ratios[row]).sum())) / (draws + 1.0)
        period = logs.size / (int(row) + 2)
        high, low = _turns(_detrended(logs), period)
        found.append(Cycle(period, float(real[int(row) + 2]), high, low, p_value))
    return Cycles(tuple(found), _zones(logs), found[0].p_value)


def _logs(series: Sequence[float]) -> F64:
    values = finite(series)
    if values.size < LEAST or not (values > 0.0).all():
        raise CorruptData(f"a cycle needs {LEAST} prices above zero; there are {int((values > 0.0).sum())}")
    made: F64 = np.log(values)
    return made


def _spectra(logs: F64, draws: int, seed: int) -> tuple[F64, F64]:
    """Return the power shares of a path and of paths with its steps in random order, by frequency bin."""
    rng = np.random.default_rng(seed)
    steps = np.diff(logs)
    found = []
    for start in range(0, draws, _BATCH):
        shuffled = rng.permuted(np.tile(steps, (min(_BATCH, draws - start), 1)), axis=1)
        paths = np.concatenate([np.zeros((shuffled.shape[0], 1)), np.cumsum(shuffled, axis=1)], axis=1)
        found.append(_power(paths))
    return _power(logs[None, :])[0], np.concatenate(found)


def _power(paths: F64) -> F64:
    power = np.abs(np.fft.rfft(_detrended(paths), axis=-1)) ** 2
    power[..., 0] = 0.0
    total = power.sum(axis=-1, keepdims=True)
    made: F64 = power / np.where(total > 0.0, total, 1.0) + np.finfo(np.float64).tiny
    return made


def _detrended(paths: F64) -> F64:
    rows = np.arange(paths.shape[-1]) - (paths.shape[-1] - 1) / 2.0
    centred = paths - paths.mean(axis=-1, keepdims=True)
    slope = (centred * rows).sum(axis=-1, keepdims=True) / (rows * rows).sum()
    made: F64 = centred - slope * rows
    return made


def _turns(path: F64, period: float) -> tuple[float, float]:
    """Return in how many bars after the last value the cycle's next high and low come."""
    turn = 2.0 * pi / period
    rows = np.arange(path.size)
    phase = atan2(float(path @ np.sin(turn * rows)), float(path @ np.cos(turn * rows)))
    past = (turn * (path.size - 1) - phase) / (2.0 * pi) % 1.0
    return (1.0 - past) * period, (1.5 - past) % 1.0 * period


def _zones(logs: F64) -> tuple[int, ...]:
    last = logs.size - 1
    pivots = (int(logs.argmax()), int(logs.argmin()))
    unit = max(abs(pivots[0] - pivots[1]), 1)
    return tuple(sorted({max(pivots) + zone * unit - last for zone in _ZONES if max(pivots) + zone * unit > last}))
