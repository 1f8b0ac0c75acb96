"""Walk-forward windows: choose on one stretch of history, judge on the next one, move on.

Made from `--walk-forward 90d:30d`; the sweep scores every combination on each training stretch and the best of it on
the stretch that follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import I64
from omega.errors import ConfigError

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LENGTH: Final = re.compile(r"(\d+)([mhdw])")
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class WalkForward:
    """How long to train, how long to test, and how far to move on.

    Units: ns.
    """

    train_ns: int
    test_ns: int
    step_ns: int


@dataclass(frozen=True, slots=True)
class Fold:
    """One training stretch and the test stretch behind it, as rows; the ends are exclusive."""

    number: int
    train: tuple[int, int]
    test: tuple[int, int]


def walk_forward_of(text: str) -> WalkForward:
    """Read `train:test` or `train:test:step`, each a number with m, h, d or w; the step is the test's length otherwise.

    Raises:
        ConfigError: the text is malformed.
    """
    lengths = [_nanoseconds(text, part) for part in text.split(":")]
    if len(lengths) == 2:  # noqa: PLR2004 - the step left out
        lengths.append(lengths[1])
    if len(lengths) != 3:  # noqa: PLR2004 - train, test, step
        raise ConfigError(f"--walk-forward {text!r} is neither train:test nor train:test:step, as in 90d:30d")
    return WalkForward(*lengths)


def folds_of(ts: I64, timeframe_ns: int, rule: WalkForward) -> tuple[Fold, ...]:
    """Return the folds that fit into the bars.

    Raises:
        ConfigError: not one does.
    """
    start, end = int(ts[0]), int(ts[-1]) + timeframe_ns
    folds: list[Fold] = []
    while start + rule.train_ns + rule.test_ns <= end:
        edges = np.searchsorted(ts, [start, start + rule.train_ns, start + rule.train_ns + rule.test_ns])
        first, middle, last = (int(edge) for edge in edges)
        if first < middle < last:
            folds.append(Fold(len(folds), (first, middle), (middle, last)))
        start += rule.step_ns
    if not folds:
        days = (end - start) / _SECOND_NS / _UNITS["d"]
        raise ConfigError(f"no walk-forward window fits into {days:.1f} days of bars; shorten it or take more history")
    return tuple(folds)


def _nanoseconds(text: str, part: str) -> int:
    found = _LENGTH.fullmatch(part.strip())
    if not found or int(found[1]) == 0:
        raise ConfigError(
            f"--walk-forward {text!r}: {part!r} is no length; write a number with m, h, d or w, as in 90d"
        )
    return int(found[1]) * _UNITS[found[2]] * _SECOND_NS
