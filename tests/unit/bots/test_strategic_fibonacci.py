"""Entries on confirmed swings alone: the level decides, the stop lies beyond the next one, targets at extensions."""

import numpy as np
import pytest

from bots.strategic_fibonacci import Params, signals
from omega.domain import MINUTE_NS
from omega.engine import Bars
from omega.engine.fibonacci import swings

LOW, HIGH = 40_000.0, 50_000.0
PLAIN = Params(span=5, trend=60, swing_atr=1.0, swing_pct=0.05, proximity_atr=0.0, buffer_atr=0.0, stop_floor=0.0)


def bounce(depth: float) -> Bars:
    """A rise from LOW to HIGH, a fall to the retracement `depth`, and one bar that closes back up."""
    level = HIGH - (HIGH - LOW) * depth
    fall = np.linspace(HIGH, level + 60.0, 14)[1:]
    closes = np.concatenate((np.linspace(44_000.0, LOW, 80), np.linspace(LOW, HIGH, 60)[1:], fall, [level + 130.0]))
    opens = np.concatenate((closes[:1], closes[:-1]))
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    low[-1] = level
    ts = (np.arange(closes.shape[0]) + 30_000_000) * MINUTE_NS
    return Bars.of(ts, opens, high, low, closes, np.ones_like(closes))


@pytest.mark.req("1.10")
@pytest.mark.parametrize(("depth", "reason", "stop"), [(0.382, 2, 45_000.0), (0.5, 1, 43_820.0), (0.618, 0, 42_140.0)])
def test_fibonacci_bounce_enters_with_the_stop_at_the_next_level(depth: float, reason: int, stop: float):
    bars = bounce(depth)

    row = signals(bars, PLAIN).at(-1)

    close = float(bars.close[-1])
    assert (row.side, row.reason) == (1, reason)
    assert close - row.stop_distance == pytest.approx(stop)
    assert [close + distance for distance in row.targets] == pytest.approx([52_720.0, 56_180.0, 60_000.0])


@pytest.mark.parametrize("depth", [0.2, 0.3, 0.36])
def test_fibonacci_bar_that_reaches_no_level_does_not_enter(depth: float):
    assert signals(bounce(depth), PLAIN).at(-1).side == 0


def test_fibonacci_close_below_the_level_is_no_bounce():
    bars = bounce(0.5)
    fallen = bars.close.copy()
    fallen[-1] = 44_900.0
    low = np.minimum(bars.low, fallen)

    assert signals(Bars.of(bars.ts, bars.open, bars.high, low, fallen, bars.volume), PLAIN).at(-1).side == 0


def test_fibonacci_down_swing_mirrors_the_entry():
    up = bounce(0.5)
    axis = 2.0 * HIGH
    down = Bars.of(up.ts, axis - up.open, axis - up.low, axis - up.high, axis - up.close, up.volume)

    long, short = signals(up, PLAIN).at(-1), signals(down, PLAIN).at(-1)

    assert (long.side, short.side) == (1, -1)
    assert short.stop_distance == pytest.approx(long.stop_distance)
    assert short.targets == pytest.approx(long.targets)


def test_fibonacci_moving_the_swing_moves_the_decision():
    bars = bounce(0.5)
    lower = Bars.of(
        bars.ts, bars.open, np.where(bars.high == HIGH, HIGH + 3_000.0, bars.high), bars.low, bars.close, bars.volume
    )

    assert signals(bars, PLAIN).at(-1) != signals(lower, PLAIN).at(-1)


def test_swing_exists_only_from_the_bar_that_confirms_it():
    bars = bounce(0.5)
    top = int(bars.high.argmax())

    found = swings(bars, 5, np.full(bars.n, 100.0), 480)

    assert not (found.direction[: top + 5] == 1).any()
    assert (found.direction[top + 5], found.high[top + 5], found.low[top + 5]) == (1, HIGH, LOW)
    assert int(found.born[top + 5]) == top + 5


def test_swing_is_forgotten_after_its_life():
    bars = bounce(0.5)
    bottom = int(np.flatnonzero(bars.low == LOW)[-1])

    found = swings(bars, 5, np.full(bars.n, 100.0), 70)

    rows = np.arange(bars.n)
    assert not found.direction[rows > bottom + 70].any()


def test_swing_smaller_than_the_threshold_is_none():
    assert not swings(bounce(0.5), 5, np.full(bounce(0.5).n, 11_000.0), 480).direction.any()
