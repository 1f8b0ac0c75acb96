"""Flags for every row, made of expressions: comparisons in blocks that stay in the cache, many at a time, then words.

Called by the sweep for a batch of combinations: four fast and two slow averages are read once, not eight times. What
follows from the comparisons is done sixty-four rows at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from omega.backtest.sweep.lazy import bits
from omega.backtest.sweep.lazy.bits import KINDS, MOST, WORD, Words
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
            within = _Within(self._batch, self._made, bits.room(node.n))
            made = bits.trimmed(within.of(node, 0), node.n)
            # A row of many would keep them all.
            return self._keep(node.id, made if made.base is None else made.copy())
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


class _Within:
    """Makes one expression, of whatever lies below it, in words of the same length.

    A part of a column and a patch in one move rows: their flags are made where they are wanted, so that most of what
    a strategy shifts forth and back is never shifted at all.
    """

    def __init__(self, batch: dict[int, Words], kept: Mapping[int, Words], size: int) -> None:
        self._batch = batch
        self._kept = kept
        self._size = size
        self._seen: dict[tuple[int, int], Words] = {}

    def of(self, node: Node, ahead: int) -> Words:
        """Return the flags with row r of the expression at row r + ahead; outside its rows may stand anything."""
        found = self._seen.get((node.id, ahead))
        if found is None:
            found = self._seen[node.id, ahead] = self._make(node, ahead)
        return found

    def _make(self, node: Node, ahead: int) -> Words:
        known = self._batch.get(node.id, self._kept.get(node.id))
        if known is None:
            made = self._moved(node, ahead)
            if made is not None:
                return made
            known = self._batch[node.id] = _blockwise(node)
        return known if not ahead and len(known) == self._size else bits.moved(known, ahead, self._size)

    def _moved(self, node: Node, ahead: int) -> Words | None:
        """Return the flags from those of what it is made of, None where they must be made block by block."""
        if isinstance(node, Constant):
            return bits.constant(bool(node.value), self._size)
        if isinstance(node, Part):
            return self.of(node.base, ahead - node.start)
        if isinstance(node, Patch):
            low, most = ahead + node.start, WORD * self._size
            bounds = [min(max(row, 0), most) for row in (low, low + node.patch.n)]
            return bits.patched(self.of(node.base, ahead), self.of(node.patch, low), *bounds)
        if isinstance(node, Cast) and _is_narrow(node.base):
            return self.of(node.base, ahead)
        return self._applied(node, ahead) if isinstance(node, Apply) else None

    def _applied(self, node: Apply, ahead: int) -> Words | None:
        """Return a choice or a combination of flags, None for whatever else a function makes."""
        if node.function is np.where and _is_narrow(node):
            condition, one, other = (self._part(arg, ahead) for arg in node.args)
            return (condition & one) | (other & ~condition)
        if not all(isinstance(arg, Node) and arg.dtype == _FLAG for arg in node.args):
            return None
        if node.function in _INVERT:
            return ~self.of(node.args[0], ahead)
        combine = _COMBINE.get(node.function)
        return combine(*[self.of(arg, ahead) for arg in node.args]) if combine else None

    def _part(self, arg: Any, ahead: int) -> Words:
        return self.of(arg, ahead) if isinstance(arg, Node) else bits.constant(bool(arg), self._size)


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
