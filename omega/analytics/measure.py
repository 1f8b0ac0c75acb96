"""Measure how often findings came true against chance. Called by scripts/evidence.py, which writes the carried table.

A call is entered at the close of the bar that confirmed it. Chance is what entries at random bars of the time after it
would have got, on the same side, with the call's own distances to target and invalidation in average true ranges, where
volatility was most like that of the call. Bars before the call are no chance: they made the pattern.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from omega.analytics.evidence import POOLED, TARGET, Evidence, Verdict
from omega.analytics.findings import Findings
from omega.analytics.pivots import average_range
from omega.analytics.scan import scan
from omega.backtest.compile import compiled
from omega.engine.bars import F64, I8, I64, Bars
from omega.research.statistics import benjamini_hochberg, draw_blocks, resampled_means

LIMIT: Final = 50
"""Bars after which a call that has reached neither end is given up."""

HORIZONS: Final = (5, 20)
SPAN: Final = 5000
"""Bars after a call among which chance enters: many times the limit, or chance would be as uncertain as the calls."""

FEWEST: Final = 30
ALPHA: Final = 0.05

_CANDIDATES: Final = 48
_CONTROLS: Final = 8
_LEAST_ROOM: Final = 200  # bars after a call that chance needs
_DRAWS: Final = 1000
_BLOCK: Final = 2.0
_Z: Final = 1.959963984540054
_NAMES: Final = {1: "long", -1: "short"}


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """A recorded market. Units: timeframe as in file names ("1h"), its length in ns."""

    name: str
    timeframe: str
    timeframe_ns: int
    bars: Bars


@dataclass(frozen=True, slots=True, eq=False)
class _Calls:
    """Outcomes of one pattern and side.

    Shapes: (f,); came is 0 to 1, chance the mean of its controls; stretch numbers the time in which the call fell.
    """

    came: F64
    chance: F64
    stretch: I64


@dataclass(frozen=True, slots=True)
class _Raw:
    row: Evidence
    worse_p: float


def measure(
    markets: Sequence[Market], *, seed: int = 1, tell: Callable[[str], None] = lambda _: None
) -> list[Evidence]:
    """Measure every pattern and side, market by market and pooled by timeframe.

    Args:
        markets: what to measure on; the markets of one timeframe are pooled.
        seed: of the random entries.
        tell: told what is being done.
    """
    raw: list[_Raw] = []
    for timeframe in dict.fromkeys(market.timeframe for market in markets):
        pooled: dict[tuple[str, str, str, str], list[_Calls]] = {}
        for market in (market for market in markets if market.timeframe == timeframe):
            tell(f"{market.name} {timeframe}, {market.bars.n:,} bars")
            for key, calls in _outcomes(market, seed):
                pooled.setdefault(key, []).append(calls)
                if key[3] == TARGET:
                    raw.append(_raw(key, market.name, timeframe, calls, seed))
        raw += [_raw(key, POOLED, timeframe, _pool(parts), seed) for key, parts in pooled.items()]
    return _judged(raw)


def _outcomes(market: Market, seed: int) -> list[tuple[tuple[str, str, str, str], _Calls]]:
    bars, ranges = market.bars, average_range(market.bars)
    findings = scan(bars)
    last = bars.n - LIMIT - 2
    usable = (findings.direction != 0) & (findings.confirmed < last - _LEAST_ROOM) & (ranges[findings.confirmed] > 0.0)
    findings = findings.take(usable)
    made: list[tuple[tuple[str, str, str, str], _Calls]] = []
    for number, kind in enumerate(findings.kinds):
        for direction, side in _NAMES.items():
            calls = findings.take((findings.kind == number) & (findings.direction == direction))
            if not len(calls):
                continue
            rng = np.random.default_rng(_seed(seed, market.name, market.timeframe, kind.name, side))
            controls = _controls(bars, ranges, calls.confirmed, last, rng)
            stretch = bars.ts[calls.confirmed] // (LIMIT * market.timeframe_ns)
            for name, came, chance in _measures(bars, ranges, calls, controls):
                made.append(((kind.family, kind.name, side, name), _Calls(came, chance.mean(axis=1), stretch)))
    return made


def _controls(bars: Bars, ranges: F64, row: I64, last: int, rng: np.random.Generator) -> I64:
    """Return random later bars, those whose volatility is most like the call's. Shapes: (f,) -> (f, controls)."""
    room = np.minimum(SPAN, last - row)
    drawn = row[:, None] + 1 + (rng.random((len(row), _CANDIDATES)) * room[:, None]).astype(np.int64)
    volatility = np.log(np.maximum(ranges, 1e-12) / bars.close)
    apart = np.abs(volatility[drawn] - volatility[row][:, None])
    nearest = np.argpartition(apart, _CONTROLS - 1, axis=1)[:, :_CONTROLS]
    return np.take_along_axis(drawn, nearest, axis=1)


def _measures(bars: Bars, ranges: F64, calls: Findings, controls: I64) -> list[tuple[str, F64, F64]]:
    """Return every measure's name, outcomes (f,) and outcomes of chance (f, controls)."""
    row, side = calls.confirmed, calls.direction
    unit = ranges[row]
    risk, reward = np.abs(calls.price - calls.invalidation) / unit, np.abs(calls.targets[:, 0] - calls.price) / unit
    judges: dict[str, Callable[[I64], F64]] = {TARGET: lambda at: _reached(bars, ranges, at, side, risk, reward)}
    judges |= {f"h{horizon}": partial(_moved, bars, side, horizon) for horizon in HORIZONS}
    return [(name, judge(row), _each(controls, judge)) for name, judge in judges.items()]


def _each(controls: I64, outcome: Callable[[I64], F64]) -> F64:
    return np.stack([outcome(np.ascontiguousarray(column)) for column in controls.T], axis=1)


def _reached(bars: Bars, ranges: F64, row: I64, side: I8, risk: F64, reward: F64) -> F64:
    came = np.zeros(len(row))
    compiled(_target_first)(bars.open, bars.high, bars.low, bars.close, ranges, row, side, risk, reward, LIMIT, came)
    return came


def _moved(bars: Bars, side: I8, horizon: int, row: I64) -> F64:
    """Return 1 where price stands on the called side, 0 where on the other, a half where it has not moved."""
    made: F64 = 0.5 + 0.5 * np.sign(side * (bars.close[row + horizon] - bars.close[row]))
    return made


def _target_first(
    open_: F64, high: F64, low: F64, close: F64, ranges: F64, row: I64, side: I8, risk: F64, reward: F64,
    limit: int, came: F64,
) -> None:  # fmt: skip
    """Write 1 where the target trades before the invalidation, 0 where it does not, a share where no bar tells.

    A bar that trades both ends counts as the share of the way from invalidation to target at which it opened, a call
    that reached neither as the share at which it was given up: the odds of a fair game from there. Counting them as
    misses would favour whatever is followed by quiet bars.
    """
    for i in range(row.shape[0]):
        at, way = row[i], side[i]
        stake, prize = risk[i] * ranges[at], reward[i] * ranges[at]
        ends = min(at + limit, close.shape[0] - 1)
        came[i] = (stake + way * (close[ends] - close[at])) / (stake + prize)
        for k in range(at + 1, ends + 1):
            best, worst = (high[k], low[k]) if way > 0 else (low[k], high[k])
            won, lost = way * (best - close[at]) >= prize, way * (worst - close[at]) <= -stake
            if won or lost:
                came[i] = (
                    (stake + way * (open_[k] - close[at])) / (stake + prize) if won and lost else 1.0 if won else 0.0
                )
                break
        came[i] = min(max(came[i], 0.0), 1.0)


def _pool(parts: list[_Calls]) -> _Calls:
    return _Calls(*[np.concatenate([getattr(part, name) for part in parts]) for name in _Calls.__slots__])


def _raw(key: tuple[str, str, str, str], dataset: str, timeframe: str, calls: _Calls, seed: int) -> _Raw:
    n, rate, base = len(calls.came), float(calls.came.mean()), float(calls.chance.mean())
    errors = _errors(calls, np.random.default_rng(_seed(seed, *key, dataset, timeframe)))
    low, high = wilson(rate, n / max(1.0, errors[0] ** 2 * n / max(rate * (1.0 - rate), 1e-12)))
    better = worse = 1.0
    # No surer than as many calls that have nothing to do with each other would be.
    error = max(errors[1], math.sqrt(base * (1.0 - base) / n))
    if n >= FEWEST and error > 0.0:
        from scipy.special import stdtr

        freedom = max(len(np.unique(calls.stretch)) - 1, 1)
        worse = float(stdtr(freedom, (rate - base) / error))
        better = 1.0 - worse
    return _Raw(Evidence(*key, dataset, timeframe, n, rate, low, high, base, better, 1.0, Verdict.FEW), worse)


def _errors(calls: _Calls, rng: np.random.Generator) -> tuple[float, float]:
    """Return the standard errors of the rate and of its distance from chance, by blocks of whole stretches of time.

    Calls crowd, their outcomes overlap, and markets move together: a stretch is drawn with all that fell into it.
    """
    _, place = np.unique(calls.stretch, return_inverse=True)
    count = np.bincount(place).astype(np.float64)
    sums = np.stack([count, np.bincount(place, calls.came), np.bincount(place, calls.came - calls.chance)], axis=1)
    drawn = resampled_means(sums, draw_blocks(len(sums), _DRAWS, min(_BLOCK, len(sums)), rng))
    ratios = drawn[:, 1:] / drawn[:, :1]
    rate, apart = ratios.std(axis=0, ddof=1)
    return float(rate), float(apart)


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share seen in n trials; n may be an effective number.

    Source: Wilson (1927), JASA 22.
    """
    shrink = 1.0 + _Z**2 / n
    middle = (rate + _Z**2 / (2.0 * n)) / shrink
    reach = _Z / shrink * math.sqrt(rate * (1.0 - rate) / n + _Z**2 / (4.0 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _judged(raw: list[_Raw]) -> list[Evidence]:
    """Correct the p-values over every row with enough calls, and say what may be said."""
    enough = [item for item in raw if item.row.n >= FEWEST]
    better = benjamini_hochberg(np.array([item.row.p_value for item in enough]))
    worse = benjamini_hochberg(np.array([item.worse_p for item in enough]))
    rows = [item.row for item in raw if item.row.n < FEWEST]
    for item, q, q_worse in zip(enough, better.tolist(), worse.tolist(), strict=True):
        verdict = Verdict.BEATS if q <= ALPHA else Verdict.WORSE if q_worse <= ALPHA else Verdict.NOT
        rows.append(replace(item.row, q_value=q, verdict=verdict))
    return sorted(rows, key=lambda r: (r.family, r.timeframe, r.name, r.direction, r.measure, r.dataset))


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big")
