"""Market structure: higher and lower swings, breaks of structure, order blocks and fair value gaps. Called by the scan.

A break is a close beyond the newest confirmed swing; it is a change of character when it goes against the breaks before
it. Order blocks and gaps are zones: the bar on which price first comes back is a finding of its own.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.analytics.findings import NEVER, Family, Findings, Kind, Stretch, ahead, empty, joined, table
from omega.analytics.pivots import HIGH, LOW
from omega.backtest.compile import compiled
from omega.engine.bars import F64, I8, I64, Bars

GAP: Final = 0.25
"""A fair value gap is at least so many average true ranges wide: narrower ones are noise between two bars."""

BLOCK_REACH: Final = 64
"""Bars before a break among which its order block is looked for: the last candle against the move."""

LIFE: Final = 1000
"""Bars after which a zone that price has not come back to is forgotten."""

_SWINGS: Final = {(HIGH, 1): "higher_high", (HIGH, -1): "lower_high", (LOW, 1): "higher_low", (LOW, -1): "lower_low"}
_BREAKS: Final = ("break_of_structure", "change_of_character")
_BLOCK, _GAP = "order_block", "fair_value_gap"
_ZONES: Final = {_BLOCK: ("block",), _GAP: ("before", "after")}

KINDS: Final = (
    *(Kind(Family.STRUCTURE, name, ("before", "swing")) for name in _SWINGS.values()),
    *(Kind(Family.STRUCTURE, name, ("swing",)) for name in _BREAKS),
    *(Kind(Family.STRUCTURE, name, labels) for name, labels in _ZONES.items()),
    *(Kind(Family.STRUCTURE, f"{name}_return", labels) for name, labels in _ZONES.items()),
)
_KIND: Final = {kind.name: kind for kind in KINDS}

# The state of the walk over breaks: the way of the newest break, then row and time of the swing high and low in force
# (NEVER when there is none, or it is broken already); their prices stand beside it.
_TREND, _HIGH_ROW, _HIGH_TS, _LOW_ROW, _LOW_TS = 0, 1, 2, 3, 4
_AT_HIGH, _AT_LOW = 0, 1


class StructureWalk:
    """The structure of a history, stretch after stretch."""

    kinds = KINDS

    def __init__(self) -> None:
        self._state: I64 = np.array([0, NEVER, 0, NEVER, 0], dtype=np.int64)
        self._swings: F64 = np.zeros(2)
        self._open = {name: empty((_KIND[name],)) for name in _ZONES}

    def extend(self, stretch: Stretch) -> Findings:
        """Return what the new bars showed, returns to older zones among it."""
        breaks, blocks = self._broken(stretch)
        parts = [_swings(stretch), breaks]
        for name, fresh in ((_BLOCK, blocks), (_GAP, _gaps(stretch))):
            parts += self._zones(stretch, name, fresh)
        return joined(parts)

    def _broken(self, stretch: Stretch) -> tuple[Findings, Findings]:
        fresh = stretch.pivots.last(stretch.pivots.m - stretch.fresh)
        room = fresh.m + 2  # every swing breaks once, and two are in force from before
        row, swing, swing_ts, block = np.empty((4, room), dtype=np.int64)
        price, undone = np.empty((2, room))
        side, turn = np.empty((2, room), dtype=np.int8)
        count = compiled(_walk)(
            stretch.bars.open, stretch.bars.close, stretch.start, stretch.base,
            fresh.row, fresh.confirmed, fresh.ts, fresh.price, fresh.kind, self._state, self._swings,
            row, swing, swing_ts, block, price, undone, side, turn,
        )  # fmt: skip
        row, swing, swing_ts, block = (column[:count] for column in (row, swing, swing_ts, block))
        price, undone, side = price[:count], undone[:count], side[:count]
        close = stretch.bars.close[row - stretch.base]
        breaks = table(
            stretch,
            tuple(_KIND[name] for name in _BREAKS),
            kind=turn[:count],
            direction=side,
            confirmed=row,
            score=np.ones(count),
            invalidation=undone,
            targets=ahead(close, side, np.abs(close - undone), np.empty((count, 0))),
            points=(swing, swing_ts, price),
        )
        return breaks, _blocks(stretch, row, block, side)

    def _zones(self, stretch: Stretch, name: str, fresh: Findings) -> list[Findings]:
        """Return the new zones with their first return, and the returns to them and to the open ones."""
        zones = joined([self._open[name], fresh])
        if not len(zones):
            return [zones]
        compiled(_return)(
            stretch.bars.low, stretch.bars.high, stretch.start, stretch.base,
            zones.confirmed, zones.direction, zones.zone, LIFE, zones.mitigated,
        )  # fmt: skip
        end = stretch.base + stretch.bars.n
        self._open[name] = zones.take((zones.mitigated == NEVER) & (zones.confirmed + LIFE >= end))
        returned = zones.take(zones.mitigated != NEVER)
        return [zones.take(zones.confirmed >= stretch.base + stretch.start), _returned(stretch, name, returned)]


def _swings(stretch: Stretch) -> Findings:
    """Name every fresh pivot by the one of its kind before it."""
    pivots, names = stretch.pivots, list(_SWINGS.values())
    at = np.arange(max(stretch.fresh, 2), pivots.m)
    if not len(at):
        return empty(tuple(_KIND[name] for name in names))
    price, kind = pivots.price[at], pivots.kind[at]
    rising = price > pivots.price[at - 2]
    number = np.where(kind == HIGH, np.where(rising, 0, 1), np.where(rising, 2, 3))
    direction = np.where(rising, 1, -1)
    close = stretch.bars.close[pivots.confirmed[at] - stretch.base]
    # With the trend a swing is undone beyond the last low of a rise (high of a fall), and aims at its far end.
    with_low = (kind == LOW) == rising
    undone = np.where(with_low, price, pivots.price[at - 1])
    aim = np.where(with_low, pivots.price[at - 1], price)
    sound = direction * (close - undone) > 0.0
    places = at[:, None] + np.array([-2, 0])
    return table(
        stretch,
        tuple(_KIND[name] for name in names),
        kind=number,
        direction=direction,
        confirmed=pivots.confirmed[at],
        score=np.ones(len(at)),
        invalidation=undone,
        targets=ahead(close, direction, np.abs(close - undone), aim[:, None]),
        points=(pivots.row[places], pivots.ts[places], pivots.price[places]),
    ).take(sound)


def _blocks(stretch: Stretch, row: I64, block: I64, side: I8) -> Findings:
    found = block != NEVER
    row, side, local = row[found], side[found], block[found] - stretch.base
    bars = stretch.bars
    zone = np.stack([bars.low[local], bars.high[local]], axis=1)
    return _zone(stretch, _BLOCK, row, side, zone, local[:, None])


def _gaps(stretch: Stretch) -> Findings:
    """Find three bars of which the outer two do not overlap."""
    bars = stretch.bars
    k = np.arange(max(stretch.start, 2), bars.n)
    least = GAP * stretch.ranges[k]
    rise, fall = bars.low[k] - bars.high[k - 2], bars.low[k - 2] - bars.high[k]
    side = np.where((rise > 0.0) & (rise >= least), 1, np.where((fall > 0.0) & (fall >= least), -1, 0))
    k, side = k[side != 0], side[side != 0]
    if not len(k):
        return empty((_KIND[_GAP],))
    bottom = np.where(side > 0, bars.high[k - 2], bars.high[k])
    top = np.where(side > 0, bars.low[k], bars.low[k - 2])
    return _zone(stretch, _GAP, k + stretch.base, side, np.stack([bottom, top], axis=1), k[:, None] - np.array([2, 0]))


def _zone(stretch: Stretch, name: str, row: I64, side: I64 | I8, zone: F64, points: I64) -> Findings:
    bars = stretch.bars
    close = bars.close[row - stretch.base]
    undone = np.where(side > 0, zone[:, 0], zone[:, 1])
    sound = side * (close - undone) > 0.0
    return table(
        stretch,
        (_KIND[name],),
        kind=np.zeros(len(row), dtype=np.int16),
        direction=side,
        confirmed=row,
        score=np.ones(len(row)),
        invalidation=undone,
        targets=ahead(close, side, np.abs(close - undone), np.empty((len(row), 0))),
        points=(points + stretch.base, bars.ts[points], _middle(bars, points)),
        zone=zone,
    ).take(sound)


def _middle(bars: Bars, rows: I64) -> F64:
    made: F64 = 0.5 * (bars.high[rows] + bars.low[rows])
    return made


def _returned(stretch: Stretch, name: str, zones: Findings) -> Findings:
    """Make findings of first returns that closed on the right side of the zone's far end."""
    if not len(zones):
        return empty((_KIND[f"{name}_return"],))
    close = stretch.bars.close[zones.mitigated - stretch.base]
    held = zones.direction * (close - zones.invalidation) > 0.0
    zones, close = zones.take(held), close[held]
    width = len(_ZONES[name])
    return table(
        stretch,
        (_KIND[f"{name}_return"],),
        kind=np.zeros(len(zones), dtype=np.int16),
        direction=zones.direction,
        confirmed=zones.mitigated,
        score=np.ones(len(zones)),
        invalidation=zones.invalidation,
        targets=ahead(close, zones.direction, np.abs(close - zones.invalidation), np.empty((len(zones), 0))),
        points=(
            zones.point_row.reshape(-1, width),
            zones.point_ts.reshape(-1, width),
            zones.point_price.reshape(-1, width),
        ),
        zone=zones.zone,
    )


def _walk(
    open_: F64,
    close: F64,
    start: int,
    base: int,
    pivot_row: I64,
    pivot_confirmed: I64,
    pivot_ts: I64,
    pivot_price: F64,
    pivot_kind: I8,
    state: I64,
    swings: F64,
    row: I64,
    swing: I64,
    swing_ts: I64,
    block: I64,
    price: F64,
    undone: F64,
    side: I8,
    turn: I8,
) -> int:
    """Walk the bars from `start` on; return the number of breaks written."""
    count, next_pivot = 0, 0
    for k in range(start, close.shape[0]):
        while next_pivot < pivot_row.shape[0] and pivot_confirmed[next_pivot] <= k + base:
            top = pivot_kind[next_pivot] == HIGH
            place = _HIGH_ROW if top else _LOW_ROW
            state[place], state[place + 1] = pivot_row[next_pivot], pivot_ts[next_pivot]
            swings[_AT_HIGH if top else _AT_LOW] = pivot_price[next_pivot]
            next_pivot += 1
        way = 0
        if state[_HIGH_ROW] != NEVER and close[k] > swings[_AT_HIGH]:
            way = 1
        elif state[_LOW_ROW] != NEVER and close[k] < swings[_AT_LOW]:
            way = -1
        if way == 0:
            continue
        place, mark = (_HIGH_ROW, _AT_HIGH) if way > 0 else (_LOW_ROW, _AT_LOW)
        row[count], side[count], turn[count] = k + base, way, 1 if state[_TREND] == -way else 0
        swing[count], swing_ts[count], price[count] = state[place], state[place + 1], swings[mark]
        block[count] = _against(open_, close, k, way, base)
        undone[count] = swings[1 - mark]
        state[_TREND], state[place] = way, NEVER
        # Without a swing on the other side nothing says where the break would have failed: it is no finding.
        count += 1 if way * (close[k] - undone[count]) > 0.0 and undone[count] > 0.0 else 0
    return count


def _against(open_: F64, close: F64, k: int, way: int, base: int) -> int:
    """Return the newest bar before k that closed against the move, NEVER when none is near."""
    for j in range(k - 1, max(k - BLOCK_REACH, 0) - 1, -1):
        if way * (close[j] - open_[j]) < 0.0:
            return j + base
    return NEVER


def _return(
    low: F64, high: F64, start: int, base: int, confirmed: I64, side: I8, zone: F64, life: int, mitigated: I64
) -> None:
    """Write the first bar after a zone's own that trades in it again."""
    for i in range(confirmed.shape[0]):
        for k in range(max(confirmed[i] - base + 1, start), min(confirmed[i] - base + life + 1, low.shape[0])):
            if (side[i] > 0 and low[k] <= zone[i, 1]) or (side[i] < 0 and high[k] >= zone[i, 0]):
                mitigated[i] = k + base
                break
