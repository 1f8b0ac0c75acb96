"""What a strategy says about every bar, in aligned arrays. Made by bots, read by the step and the back-test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from omega.engine.bars import F64, I8, I16, Flags
from omega.errors import CorruptData

_S = TypeVar("_S", bound=np.generic)

LONG: Final = 1
SHORT: Final = -1
FLAT: Final = 0

SHARES: Final[tuple[tuple[float, ...], ...]] = ((), (1.0,), (0.5, 0.5), (0.4, 0.4, 0.2))
"""How much of the position each target closes, by the number of targets (the strategic trader's 40, 40, 20 %)."""

_MOST_TARGETS: Final = 3
_ZERO: Final[F64] = np.zeros(1)
_ONE: Final[F64] = np.ones(1)
_ZERO.flags.writeable = _ONE.flags.writeable = False


class Row(NamedTuple):
    """One row of signals as plain scalars.

    Units: stop_distance and targets are distances from the close in quote currency, 0.0 for none.
    """

    side: int
    exit: bool
    stop_distance: float
    targets: tuple[float, ...]
    confidence: float
    reason: int


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Entries, exits and barriers of a strategy.

    Shapes: every array is (n,), aligned with the bars; row k depends on rows 0..k alone. No NaN. A column that was left
        out is one value seen n times, read-only.
    Units: side LONG, SHORT or FLAT asks for an entry; exit asks to leave whatever is held; distances in quote currency
        per unit, 0.0 for none; confidence in [0, 1]; reason points into the declared reasons.
    """

    side: I8
    exit: Flags
    stop_distance: F64
    targets: tuple[F64, ...]
    confidence: F64
    reason: I16

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.side)

    @classmethod
    def of(
        cls,
        *,
        side: npt.ArrayLike,
        exit: npt.ArrayLike | None = None,  # noqa: A002 - the word that strategies use for it
        stop_distance: npt.ArrayLike | None = None,
        targets: tuple[npt.ArrayLike, ...] = (),
        confidence: npt.ArrayLike | None = None,
        reason: npt.ArrayLike | None = None,
    ) -> Signals:
        """Make signals after checking them; what is left out is 0, confidence 1.

        Distances that are no number are put to 0.0 where nothing is entered: indicators are NaN while they warm up.

        Raises:
            CorruptData: shapes differ, a side is none of -1, 0, 1, there are more than three targets, or a row that
                enters has a distance or a confidence that is no number, negative, or above 1.
        """
        sides = _sides(side)
        if len(targets) > _MOST_TARGETS:
            raise CorruptData(f"signals: {len(targets)} targets are more than {_MOST_TARGETS}; drop the farthest")
        n, entered = sides.shape[0], sides != 0
        return cls(
            side=sides,
            exit=_aligned("exit", np.zeros(n, np.bool_) if exit is None else np.ascontiguousarray(exit, np.bool_), n),
            stop_distance=_distances("stop_distance", stop_distance, n, entered),
            targets=tuple(_distances(f"targets[{i}]", t, n, entered) for i, t in enumerate(targets)),
            confidence=_shares(confidence, n, entered),
            reason=_aligned(
                "reason", np.zeros(n, np.int16) if reason is None else np.ascontiguousarray(reason, np.int16), n
            ),
        )

    @classmethod
    def none(cls, n: int) -> Signals:
        """Return n rows that ask for nothing, as a read-only bot does: one value seen n times, read-only."""
        return cls(
            side=np.zeros(n, np.int8),
            exit=np.zeros(n, np.bool_),
            stop_distance=_everywhere(_ZERO, n),
            targets=(),
            confidence=_everywhere(_ONE, n),
            reason=np.zeros(n, np.int16),
        )

    def at(self, row: int) -> Row:
        """Return one row as plain Python scalars."""
        return Row(
            self.side[row].item(),
            self.exit[row].item(),
            self.stop_distance[row].item(),
            tuple([target[row].item() for target in self.targets]),
            self.confidence[row].item(),
            self.reason[row].item(),
        )


def _everywhere(value: F64, n: int) -> F64:
    """Return one value seen n times, read-only as the value is; numpy's broadcast_to takes eight times as long."""
    return np.ndarray((n,), np.float64, value, 0, (0,))


def _sides(given: npt.ArrayLike) -> I8:
    sides = np.asarray(given)
    if sides.ndim == 1 and sides.dtype == np.bool_:
        return np.ascontiguousarray(sides).view(np.int8)
    # A whole-numbered row in bounds holds -1, 0 and 1 alone: two quick passes instead of six.
    sound = sides.ndim == 1 and (not sides.size or (sides.min() >= -1 and sides.max() <= 1))
    if sound and sides.dtype.kind not in "iu":
        sound = bool(np.all((sides == 0) | (sides == 1) | (sides == -1)))
    if not sound:
        raise CorruptData("signals: side must be a row of -1, 0 and 1; check the strategy's np.where")
    return np.ascontiguousarray(sides, dtype=np.int8)


def _aligned(name: str, column: npt.NDArray[_S], n: int) -> npt.NDArray[_S]:
    if column.shape != (n,):
        raise CorruptData(f"signals: {name} has shape {column.shape}, side has ({n},); align it with the bars")
    return column


def _distances(name: str, given: npt.ArrayLike | None, n: int, entered: Flags) -> F64:
    if given is None:
        return _everywhere(_ZERO, n)
    made = _aligned(name, np.ascontiguousarray(given, np.float64), n)
    if _below(made, np.inf):
        return made
    sound = (made >= 0.0) & (made < np.inf)
    _refuse(name, entered & ~sound)
    return np.where(sound, made, 0.0)


def _shares(given: npt.ArrayLike | None, n: int, entered: Flags) -> F64:
    if given is None:
        return _everywhere(_ONE, n)
    made = _aligned("confidence", np.ascontiguousarray(given, np.float64), n)
    if _below(made, np.nextafter(1.0, 2.0)):
        return made
    sound = (made >= 0.0) & (made <= 1.0)
    _refuse("confidence", entered & ~sound)
    return np.where(sound, made, 0.0)


def _below(column: F64, bound: float) -> bool:
    """Tell in one pass that a column lies from 0.0 up to a bound; what is not told may still do.

    The bits of floats from 0.0 up order as the floats do; those of negative ones and of what is no number lie above.
    """
    return not column.size or bool(column.view(np.uint64).max() < np.float64(bound).view(np.uint64))


def _refuse(name: str, bad: Flags) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise CorruptData(
            f"signals: row {row} enters with an unsound {name}; enter only where the indicators are ready"
        )
