"""Flags for every row, made of expressions: comparisons in blocks that stay in the cache, many at a time, then words.

Called by the sweep for a batch of combinations: four fast and two slow averages are read once, not eight times. What
follows from the comparisons is done sixty-four rows at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from omega.backtest.sweep.lazy import bits
from omega.backtest.sweep.lazy.bits import KINDS, MOST, Words
from omega.backtest.sweep.lazy.nodes import Apply, Cast, Constant, Leaf, Node, Part, Patch

_ROOM: Final = 2_500_000
"""What is kept from one batch to the next: flags that combinations with other stops share."""

_COMBINE: Final[dict[object, Any]] = {
    **dict.fromkeys((np.bitwise_and, np.logical_and, np.multiply), np.bitwise_and),
    **dict.fromkeys((np.bitwise_or, np.logical_or, np.add), np.bitwise_or),
    **dict.fromkeys((np.bitwise_xor, np.logical_xor, np.not_equal), np.bitwise_xor),
}
"""What a function of two columns of flags does to their words."""

_INVERT: Final = {np.invert, np.logical_not}

_FLAG: Final = np.dtype(np.bool_)
_ROWS: Final = 8_192
"""Rows of a block of whatever is no comparison of two columns."""


class Planes:
    """Flags by expression, the newest kept while there is room."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self._held = 0
        self._made: OrderedDict[int, Words] = OrderedDict()
        self._batch: dict[int, Words] = {}

    def prepare(self, nodes: Iterable[Node]) -> None:
        """Make the comparisons that some expressions stand on, block by block, all of them together."""
        wanted: dict[int, Apply] = {}
        seen: set[int] = set()
        for node in nodes:
            self._find_bases(node, seen, wanted)
        self._batch = {}
        for n in {base.n for base in wanted.values()}:
            self._compare([(key, base) for key, base in wanted.items() if base.n == n], n)

    def of(self, node: Node) -> Words:
        """Return where an expression is not zero; nobody may write to it.

        The result is kept, because combinations that differ in a stop alone share it.
        """
        found = self._made.get(node.id)
        if found is None:
            return self._keep(node.id, self._within(node))
        self._made.move_to_end(node.id)
        return found

    def _compare(self, waiting: list[tuple[int, Apply]], n: int) -> None:
        """Compare leaves with leaves, as many at a time as the machine code takes."""
        while waiting:
            leaves: dict[int, Node] = {}
            chosen: list[tuple[int, Apply]] = []
            while waiting and len(leaves.keys() | {arg.id for arg in waiting[0][1].args}) <= MOST:
                key, base = waiting.pop(0)
                leaves.update({arg.id: arg for arg in base.args})
                chosen.append((key, base))
            index = {key: i for i, key in enumerate(leaves)}
            pairs = [(KINDS[base.function], index[base.args[0].id], index[base.args[1].id]) for _, base in chosen]
            words = np.empty((len(chosen), bits.room(n)), np.uint64)
            bits.compare_all([_fixed(leaf.values()) for leaf in leaves.values()], pairs, words)
            for (key, _), row in zip(chosen, words, strict=True):
                self._batch[key] = row

    def _within(self, node: Node) -> Words:
        for known in (self._batch, self._made):
            found = known.get(node.id)
            if found is not None:
                return found
        made = self._batch[node.id] = self._make(node)
        return made

    def _make(self, node: Node) -> Words:
        if isinstance(node, Constant):
            return bits.constant(node.n, stands=bool(node.value))
        if isinstance(node, Part):
            return bits.taken(self._within(node.base), node.start, node.n)
        if isinstance(node, Patch):
            return bits.patched(self._within(node.base), node.start, self._within(node.patch), node.patch.n)
        if isinstance(node, Cast) and _is_narrow(node.base):
            return self._within(node.base)
        if isinstance(node, Apply):
            made = self._applied(node)
            if made is not None:
                return made
        return _blockwise(node)

    def _applied(self, node: Apply) -> Words | None:
        """Return a choice or a combination of flags, None for whatever else a function makes."""
        if node.function is np.where and _is_narrow(node):
            condition, one, other = (self._part(arg, node.n) for arg in node.args)
            return (condition & one) | (other & ~condition)
        if not all(isinstance(arg, Node) and arg.dtype == _FLAG for arg in node.args):
            return None
        if node.function in _INVERT:
            return bits.inverted(self._within(node.args[0]), node.n)
        combine = _COMBINE.get(node.function)
        return combine(*map(self._within, node.args)) if combine else None

    def _part(self, arg: Any, n: int) -> Words:
        return self._within(arg) if isinstance(arg, Node) else bits.constant(n, stands=bool(arg))

    def _find_bases(self, node: Node, seen: set[int], wanted: dict[int, Apply]) -> None:
        """Find the comparisons of whole columns below an expression that are not made yet."""
        if node.id in seen or node.id in self._made:
            return
        seen.add(node.id)
        if isinstance(node, Apply) and _is_plain(node):
            wanted[node.id] = node
            return
        for child in node.children():
            if _is_narrow(child):
                self._find_bases(child, seen, wanted)

    def _keep(self, key: int, words: Words) -> Words:
        self._made[key] = words
        self._held += words.nbytes
        while self._held > self._room and len(self._made) > 1:
            self._held -= self._made.popitem(last=False)[1].nbytes
        return words


def _blockwise(node: Node) -> Words:
    """Make an expression in blocks, so that what lies between stays in the cache."""
    bounds = range(0, node.n, _ROWS)
    return np.concatenate([bits.packed(node.block(low, min(low + _ROWS, node.n)) != 0) for low in bounds])


def _is_plain(node: Apply) -> bool:
    """Whether it compares two whole columns of floats that exist."""
    return (
        node.function in KINDS
        and len(node.args) == 2  # noqa: PLR2004 - of two columns
        and all(isinstance(arg, Leaf) and arg.dtype == np.float64 for arg in node.args)
    )


def _is_narrow(node: Node) -> bool:
    """Whether it holds flags or sides, of which it matters where they are not zero."""
    return node.dtype.itemsize == 1


def _fixed(array: Any) -> Any:
    """Return a view that cannot be written to: one type for all columns, one machine code."""
    view = array.view()
    view.flags.writeable = False
    return view
