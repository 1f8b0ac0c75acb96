"""Fibonacci tools over confirmed swings: levels, zones, channels, clusters, and whether the golden ratio is there.

Called by the analytics service, `omega analyze SYMBOL fib` and position analysis. The level formulas are those of
`omega.engine.fibonacci`; a swing exists from the bar that confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from omega.analytics.golden import GoldenTest, golden_test
from omega.analytics.pivots import ATR_LENGTH, REVERSAL, Pivots, average_range, by_reversal
from omega.engine.bars import F64, Bars
from omega.engine.fibonacci import PHI, RATIOS, clusters, levels
from omega.errors import ConfigError

ZONES: Final = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
CHANNEL: Final = (0.382, 0.618, 1.0, 1.618, 2.618)
PIVOT: Final = (0.382, 0.618, 1.0)

_CHAIN: Final = 0.1
"""Average true ranges within which levels of a chart cluster at most: 1 % of a calm hour chart is all of it."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One swing between two confirmed pivots.

    Units: start and end are rows, confirmed the row at whose close the end was known; prices in quote currency.
    """

    start: int
    end: int
    confirmed: int
    start_price: float
    end_price: float

    @property
    def up(self) -> bool:
        """Whether it ran from low to high."""
        return self.end_price > self.start_price

    @property
    def high(self) -> float:
        """Its high, in quote currency."""
        return max(self.start_price, self.end_price)

    @property
    def low(self) -> float:
        """Its low, in quote currency."""
        return min(self.start_price, self.end_price)

    @property
    def move(self) -> float:
        """Its size as an absolute log return: legs at different prices compare."""
        return float(np.log(self.high / self.low))


@dataclass(frozen=True, slots=True)
class Level:
    """One level of one swing. Units: price in quote currency; distance from the last close as a fraction of it."""

    ratio: float
    price: float
    kind: str
    distance: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Levels of several swings that lie close together.

    Units: prices in quote currency; strength the number of levels, swings the number of swings they come from.
    """

    price: float
    low: float
    high: float
    strength: int
    swings: int


@dataclass(frozen=True, slots=True)
class TimeZone:
    """A bar at a Fibonacci distance from a pivot. Units: row may lie beyond the bars; ts in ns UTC, open time."""

    number: int
    row: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A pair of lines around a price. Units: ratio in standard deviations, prices in quote currency."""

    ratio: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Zone:
    """A golden zone. Units: prices in quote currency."""

    name: str
    low: float
    high: float


def legs_of(pivots: Pivots) -> tuple[Leg, ...]:
    """Join alternating pivots into swings, oldest first; of neighbours of one kind the more extreme one counts.

    A leg is confirmed when its newer pivot is, so cutting the future off takes whole legs away and changes none before
    the newest.
    """
    kept: list[tuple[int, int, float, int]] = []
    for k in range(pivots.m):
        row, confirmed = int(pivots.row[k]), int(pivots.confirmed[k])
        price, kind = float(pivots.price[k]), int(pivots.kind[k])
        if kept and kept[-1][3] == kind:
            if kind * (price - kept[-1][2]) > 0.0:
                kept[-1] = (row, confirmed, price, kind)
            continue
        kept.append((row, confirmed, price, kind))
    return tuple(
        Leg(a[0], b[0], max(a[1], b[1]), a[2], b[2]) for a, b in pairwise(kept) if a[2] != b[2] and a[0] != b[0]
    )


def leg_levels(
    leg: Leg, last: float, *, ratios: tuple[float, ...] = RATIOS
) -> tuple[tuple[Level, ...], tuple[float, ...]]:
    """Return (the levels of a swing by rising ratio, the ratios dropped because they lie at or below zero).

    Units: last is the price that distances are taken from, in quote currency.
    """
    found = levels(leg.high, leg.low, up=leg.up, ratios=ratios)
    return tuple(
        Level(ratio, price, "retracement" if ratio <= 1.0 else "extension", (price - last) / last)
        for ratio, price in found.prices
    ), found.dropped


def level_clusters(legs: Sequence[Leg], *, within: float = 0.01, least: int = 2) -> tuple[Cluster, ...]:
    """Cluster the levels of several swings, the strongest first; no level belongs to two clusters.

    Units: within a fraction of the lower neighbour; least the smallest strength kept.
    Source: single-link clustering on the sorted levels (`omega.engine.fibonacci.clusters`).
    """
    tagged = sorted(
        (price, number) for number, leg in enumerate(legs) for _, price in levels(leg.high, leg.low, up=leg.up).prices
    )
    made, first = [], 0
    for mean, count in clusters([price for price, _ in tagged], within=within):
        part = tagged[first : first + count]
        first += count
        made.append(Cluster(mean, part[0][0], part[-1][0], count, len({number for _, number in part})))
    return tuple(sorted((c for c in made if c.strength >= least), key=lambda c: (-c.swings, -c.strength, c.price)))


def time_zones(bars: Bars, row: int, timeframe_ns: int, *, unit: int = 1) -> tuple[TimeZone, ...]:
    """Return the bars at start + {1, 2, 3, 5, 8, 13, 21, 34, 55, 89} units.

    A zone inside the record takes the bar's own time; one beyond it, the time that unbroken bars would have.

    Args:
        bars: the record.
        row: where it starts.
        timeframe_ns: length of a bar.
        unit: bars a unit, 1 or more.

    Raises:
        ConfigError: the row is not in the record, or the unit is below one bar.
    """
    if not 0 <= row < bars.n or unit < 1:
        raise ConfigError(f"time zones from row {row} of {bars.n} in units of {unit}: name a row, and one bar or more")
    made = []
    for number in ZONES:
        at = row + number * unit
        ts = int(bars.ts[at]) if at < bars.n else int(bars.ts[-1]) + (at - bars.n + 1) * timeframe_ns
        made.append(TimeZone(number, at, ts))
    return tuple(made)


def channels(closes: F64, *, window: int = 100) -> tuple[Channel, ...]:
    """Return the last close ± {.382, .618, 1, 1.618, 2.618} deviations, without pairs that reach zero.

    Units: the deviation is the population one of the last `window` closes about their regression line, in quote
        currency, so that a trend alone makes no width.
    """
    recent = closes[-window:]
    if len(recent) < 3:  # noqa: PLR2004 - a line through two points leaves no spread
        return ()
    x = np.arange(len(recent)) - (len(recent) - 1) / 2.0
    off = recent - recent.mean()
    sigma, last = float((off - x * (off @ x) / (x @ x)).std()), float(recent[-1])
    return tuple(Channel(r, last - r * sigma, last + r * sigma) for r in CHANNEL if last - r * sigma > 0.0)


def golden_zones(price: float) -> tuple[Zone, ...]:
    """Return the four golden zones around a price: [P/φ², P/φ], [P/φ, P], [P, Pφ], [Pφ, Pφ²].

    Raises:
        ConfigError: the price is not above zero.
    """
    if not price > 0.0:
        raise ConfigError(f"a price of {price} has no golden zones; give one above zero")
    edges = [price * PHI**power for power in (-2, -1, 0, 1, 2)]
    names = ("far below", "below", "above", "far above")
    return tuple(Zone(name, low, high) for name, (low, high) in zip(names, pairwise(edges), strict=True))


def pivot_points(high: float, low: float, close: float) -> dict[str, float]:
    """Return the Fibonacci pivot points of a period: P, R1 to R3 and S1 to S3.

    Units: quote currency. Source: P = (H + L + C)/3, R and S = P ± (H - L)·{.382, .618, 1}.
    """
    middle, spread = (high + low + close) / 3.0, high - low
    made = {"P": middle}
    for number, ratio in enumerate(PIVOT, start=1):
        made |= {f"R{number}": middle + ratio * spread, f"S{number}": middle - ratio * spread}
    return made


@dataclass(frozen=True, slots=True)
class Fibonacci:
    """All of it for one market, as of its last bar.

    Attributes:
        leg: the newest confirmed swing, None when there is none yet.
        levels: its levels.
        dropped: ratios whose level would lie at or below zero.
        nearest: the level nearest to the last close.
        zones: time zones from the end of that swing.
        channels: lines around the last close.
        golden: golden zones around the last close.
        pivots: Fibonacci pivot points of the newest swing's range and the last close.
        clusters: of the last swings, the strongest first.
        test: whether the golden ratio is there at all.
    """

    leg: Leg | None
    levels: tuple[Level, ...]
    dropped: tuple[float, ...]
    nearest: Level | None
    zones: tuple[TimeZone, ...]
    channels: tuple[Channel, ...]
    golden: tuple[Zone, ...]
    pivots: dict[str, float]
    clusters: tuple[Cluster, ...]
    test: GoldenTest


def fibonacci(
    bars: Bars,
    timeframe_ns: int,
    *,
    multiple: float = REVERSAL,
    swings: int = 8,
    within: float | None = None,
    rng: np.random.Generator | None = None,
) -> Fibonacci:
    """Read a market with every Fibonacci tool, from the swings confirmed by its last close.

    Args:
        bars: closed bars.
        timeframe_ns: their length.
        multiple: average true ranges that price must come back to confirm a swing.
        swings: newest swings whose levels are clustered.
        within: fraction within which levels cluster; 1 % when left out, or a tenth of an average true range where
            that is less.
        rng: draws the reorderings of the golden test; a fixed seed when left out.

    Raises:
        ConfigError: there is no bar.
    """
    if not bars.n:
        raise ConfigError("there is no bar to read; give at least one")
    legs = legs_of(by_reversal(bars, multiple))
    last = float(bars.close[-1])
    leg = legs[-1] if legs else None
    made, dropped = leg_levels(leg, last) if leg is not None else ((), ())
    return Fibonacci(
        leg=leg,
        levels=made,
        dropped=dropped,
        nearest=min(made, key=lambda level: (abs(level.distance), level.ratio), default=None),
        zones=time_zones(bars, leg.end, timeframe_ns) if leg is not None else (),
        channels=channels(bars.close),
        golden=golden_zones(last),
        pivots=pivot_points(leg.high, leg.low, last) if leg is not None else {},
        clusters=level_clusters(legs[-swings:], within=_within(bars) if within is None else within),
        test=golden_test(np.array([leg.move for leg in legs]), rng if rng is not None else np.random.default_rng(0)),
    )


def _within(bars: Bars) -> float:
    width = float(average_range(bars)[-1]) if bars.n >= ATR_LENGTH else float((bars.high - bars.low).mean())
    return min(0.01, _CHAIN * width / float(bars.close[-1]))
