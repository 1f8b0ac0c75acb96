"""The regime of every bar of a history, as machine code: the bits of `omega.engine.regime` in a fifth of its time.

Called by `Influences.regimes`. The engine's text is the rule, and what runs where nothing is compiled; it makes twenty
passes over the bars, each of which numpy has to begin anew, while here a block stays in the nearest cache.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.engine.bars import F64, I8, Bars
from omega.engine.regime import (
    CONFIRM,
    PAST,
    RANGING_TO,
    SPAN,
    TRENDING_FROM,
    VOLATILE_FROM,
    Regime,
    regimes,
)

BLOCK: Final = 1_024
RANGING: Final = int(Regime.RANGING)
TRENDING: Final = int(Regime.TRENDING)
VOLATILE: Final = int(Regime.VOLATILE)
TIMES: Final = PAST / SPAN


def regimes_of(bars: Bars) -> I8:
    """Name the regime of every bar, see `omega.engine.regime.regimes`; nobody waits for a compiler here.

    Shapes: (n,), values of Regime.
    """
    from omega.backtest.compile import NotCompiled, without_waiting

    try:
        with without_waiting():
            return name_compiled(bars)
    except NotCompiled:
        return regimes(bars)


def name_compiled(bars: Bars) -> I8:
    """Name the regime of every bar by machine code, compiled where it is not yet."""
    from omega.backtest.compile import compiled

    found, close = np.zeros(bars.n, np.int8), np.ascontiguousarray(bars.close).view()
    close.flags.writeable = False  # one type for all columns, one machine code
    compiled(name_all)(close, np.empty((2, BLOCK + PAST)), found)
    return found


def name_all(close: F64, moves: F64, found: I8) -> None:
    """Name the regime of every row that has enough of them before it.

    Args:
        close: of the bars.
        moves: room to work in, two lines of BLOCK + PAST numbers.
        found: (out) the regime of every row, 0 where it begins.
    """
    begin, last, agreed = PAST, 0, 0
    while begin < close.shape[0]:
        end = min(begin + BLOCK, close.shape[0])
        measure(close[begin - PAST : end], moves[0], moves[1])
        ways, kinds = moves[0], found[begin:end]
        judge(close[begin:end], close[begin - SPAN :], ways, ways[SPAN:], ways[2 * SPAN :], ways[3 * SPAN :], kinds)
        for j in range(kinds.shape[0]):
            kind = kinds[j]
            agreed = agreed + 1 if kind == last else 1
            last = kind
            kinds[j] = kind if agreed >= CONFIRM else 0
        begin = end


def measure(close: F64, ways: F64, other: F64) -> None:
    """Put the way of SPAN moves on from each close into `ways`, added up in the tree of `engine.regime.summed`."""
    size = close.shape[0] - 1
    before, after = close[:size], close[1:]
    for j in range(size):
        ways[j] = abs(after[j] - before[j])
    covered = 1
    while covered < SPAN:  # two levels of the tree at a time, there and back
        size -= covered
        add(ways, ways[covered:], other[:size])
        size -= 2 * covered
        add(other, other[2 * covered :], ways[:size])
        covered *= 4


def add(one: F64, other: F64, both: F64) -> None:
    """Add two rows of numbers."""
    for j in range(both.shape[0]):
        both[j] = one[j] + other[j]


def judge(close: F64, past: F64, first: F64, second: F64, third: F64, fourth: F64, kinds: I8) -> None:
    """Name the regime of rows by their own figures, before others have to agree; the four ways end one at a time."""
    for j in range(kinds.shape[0]):
        way = fourth[j]
        usual = (first[j] + third[j]) + (second[j] + way)
        net = abs(close[j] - past[j])
        kind = RANGING if net <= RANGING_TO * way else 0
        kind = TRENDING if (net >= TRENDING_FROM * way) & (way > 0.0) else kind
        kinds[j] = VOLATILE if way * TIMES > VOLATILE_FROM * usual else kind
