"""Array expressions that are evaluated late: over blocks of rows, or at a few rows alone.

Made by `Column` while a strategy runs; read by the sweep, which needs a dense answer only where something is entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]

_IDS: Final[dict[object, int]] = {}
"""One number for each distinct expression of this process: the same text over the same leaves is the same number."""

_NEXT: Final = count()
_MOST_IDS: Final = 200_000


def identity_of(key: object) -> int:
    """Return the number of an expression by its structure; no number is ever given twice."""
    known = _IDS.get(key)
    if known is None:
        if len(_IDS) >= _MOST_IDS:
            # A long sweep must not grow: what is seen again gets a new number and is evaluated anew.
            _IDS.clear()
        known = _IDS[key] = next(_NEXT)
    return known


class Node:
    """One expression of n rows; immutable. No abstract base class: Python asks of those too slowly what they are.

    Attributes:
        n: rows.
        dtype: of its values.
        id: equal for equal expressions.
        made: its values once somebody needed all of them, else None.
    """

    __slots__ = ("dtype", "id", "made", "n")

    def __init__(self, n: int, dtype: np.dtype[Any], key: object) -> None:
        self.n = n
        self.dtype = dtype
        self.id = identity_of(key)
        self.made: Array | None = None

    def block(self, low: int, high: int) -> Array:
        """Return the values of rows low to high."""
        if self.made is not None:
            return self.made[low:high]
        return self._block(low, high)

    def at(self, rows: Rows) -> Array:
        """Return the values of some rows."""
        if self.made is not None:
            taken: Array = self.made[rows]
            return taken
        return self._at(rows)

    def values(self) -> Array:
        """Return all values, made once and read-only from then on."""
        if self.made is None:
            made = np.ascontiguousarray(self._block(0, self.n))
            made = made.copy() if made.base is not None else made
            made.flags.writeable = False
            self.made = made
        return self.made

    def children(self) -> Iterator[Node]:
        """Iterate over the expressions that this one is made of."""
        return iter(())

    def _block(self, low: int, high: int) -> Array:
        raise NotImplementedError

    def _at(self, rows: Rows) -> Array:
        raise NotImplementedError


class Leaf(Node):
    """Values that exist: a column of the bars, an indicator, or whatever a function returned."""

    __slots__ = ("array", "finite")

    def __init__(self, array: Array, key: object, *, finite: bool = False) -> None:
        """Take an array under a key; `finite` says that it is known to hold no negative number, no NaN, no infinity."""
        super().__init__(len(array), array.dtype, ("leaf", key))
        self.array = self.made = array
        self.finite = finite

    def _block(self, low: int, high: int) -> Array:
        return self.array[low:high]

    def _at(self, rows: Rows) -> Array:
        taken: Array = self.array[rows]
        return taken


class Constant(Node):
    """The same value in every row."""

    __slots__ = ("value",)

    def __init__(self, n: int, value: np.generic) -> None:
        super().__init__(n, value.dtype, ("constant", n, value.dtype.str, value.tobytes()))
        self.value = value

    def _block(self, low: int, high: int) -> Array:
        return np.full(high - low, self.value, dtype=self.dtype)

    def _at(self, rows: Rows) -> Array:
        return np.full(len(rows), self.value, dtype=self.dtype)


class Apply(Node):
    """An elementwise function of numpy over expressions of the same length and scalars."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], dtype: np.dtype[Any], n: int) -> None:
        super().__init__(n, dtype, ("apply", function, tuple(_key(arg) for arg in args)))
        self.function = function
        self.args = args

    def children(self) -> Iterator[Node]:
        """Iterate over what it is made of."""
        return (arg for arg in self.args if isinstance(arg, Node))

    def _block(self, low: int, high: int) -> Array:
        made: Array = self.function(*[arg.block(low, high) if isinstance(arg, Node) else arg for arg in self.args])
        return made

    def _at(self, rows: Rows) -> Array:
        made: Array = self.function(*[arg.at(rows) if isinstance(arg, Node) else arg for arg in self.args])
        return made


class Part(Node):
    """Consecutive rows of an expression, from `start` on."""

    __slots__ = ("base", "start")

    def __init__(self, base: Node, start: int, n: int) -> None:
        super().__init__(n, base.dtype, ("part", base.id, start, n))
        self.base = base
        self.start = start

    def children(self) -> Iterator[Node]:
        """Iterate over what it is made of."""
        return iter((self.base,))

    def _block(self, low: int, high: int) -> Array:
        return self.base.block(low + self.start, high + self.start)

    def _at(self, rows: Rows) -> Array:
        return self.base.at(rows + self.start)


class Patch(Node):
    """An expression in which the rows from `start` on were set to the values of another."""

    __slots__ = ("base", "patch", "start")

    def __init__(self, base: Node, start: int, patch: Node) -> None:
        super().__init__(base.n, base.dtype, ("patch", base.id, start, patch.id))
        self.base = base
        self.start = start
        self.patch = patch

    def children(self) -> Iterator[Node]:
        """Iterate over what it is made of."""
        return iter((self.base, self.patch))

    def _block(self, low: int, high: int) -> Array:
        first, last = max(low, self.start), min(high, self.start + self.patch.n)
        if first >= last:
            return self.base.block(low, high)
        made = np.empty(high - low, dtype=self.dtype)
        made[: first - low] = self.base.block(low, first)
        made[first - low : last - low] = self.patch.block(first - self.start, last - self.start)
        made[last - low :] = self.base.block(last, high)
        return made

    def _at(self, rows: Rows) -> Array:
        inside = (rows >= self.start) & (rows < self.start + self.patch.n)
        made = np.array(self.base.at(rows), dtype=self.dtype)
        made[inside] = self.patch.at(rows[inside] - self.start)
        return made


class Cast(Node):
    """An expression as another type."""

    __slots__ = ("base",)

    def __init__(self, base: Node, dtype: np.dtype[Any]) -> None:
        super().__init__(base.n, dtype, ("cast", base.id, dtype.str))
        self.base = base

    def children(self) -> Iterator[Node]:
        """Iterate over what it is made of."""
        return iter((self.base,))

    def _block(self, low: int, high: int) -> Array:
        return self.base.block(low, high).astype(self.dtype)

    def _at(self, rows: Rows) -> Array:
        return self.base.at(rows).astype(self.dtype)


def cast(node: Node, dtype: np.dtype[Any]) -> Node:
    """Return the expression as another type, narrowed early where that changes nothing.

    A choice between whole numbers is made in the narrow type at once: that is what most strategies' sides are.
    """
    if node.dtype == dtype:
        return node
    if isinstance(node, Constant):
        return Constant(node.n, node.value.astype(dtype))
    if isinstance(node, Apply) and node.function is np.where:
        chosen = tuple(_narrow(arg, dtype) for arg in node.args[1:])
        if all(arg is not None for arg in chosen):
            return Apply(np.where, (node.args[0], *chosen), dtype, node.n)
    return Cast(node, dtype)


def _narrow(arg: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(arg, Node):
        return cast(arg, dtype)
    return np.asarray(arg).astype(dtype)[()]


def _key(arg: Any) -> object:
    if isinstance(arg, Node):
        return ("node", arg.id)
    # 0.0 equals -0.0 and 1 equals 1.0 and True: the type and the text tell them apart.
    return type(arg).__name__, repr(arg)
