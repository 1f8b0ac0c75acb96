"""Flags and sides for every row, made of expressions: comparisons in blocks that stay in the cache, many at a time.

Called by the sweep for a batch of combinations: four fast and two slow averages are read once, not eight times.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from omega.backtest.sweep.lazy.compare import BLOCK, KINDS, MOST, compare_all
from omega.backtest.sweep.lazy.nodes import Apply, Array, Cast, Constant, Leaf, Node, Part, Patch

_ROOM: Final = 2_500_000
"""What is kept from one batch to the next: planes that combinations with other stops share."""


class Planes:
    """Dense one-byte columns by expression, the newest kept while there is room."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self._held = 0
        self._made: OrderedDict[int, Array] = OrderedDict()
        self._batch: dict[int, Array] = {}

    def prepare(self, nodes: Iterable[Node]) -> None:
        """Make the comparisons that some expressions stand on, block by block, all of them together."""
        wanted: dict[int, Apply] = {}
        for node in nodes:
            for base in self._bases(node):
                wanted[base.id] = base
        self._batch = {}
        plain = {key: base for key, base in wanted.items() if _is_plain(base)}
        rows = {base.n for base in plain.values()}
        for n in rows:
            self._compare({key: base for key, base in plain.items() if base.n == n}, n)
        for key, base in wanted.items():
            if key not in self._batch:
                self._batch[key] = _blockwise(base)

    def _compare(self, bases: dict[int, Apply], n: int) -> None:
        """Compare leaves with leaves, as many at a time as the machine code takes."""
        waiting = list(bases.items())
        while waiting:
            leaves: dict[int, Node] = {}
            taken: list[tuple[int, Apply]] = []
            while waiting and len(leaves.keys() | {arg.id for arg in waiting[0][1].args}) <= MOST:
                key, base = waiting.pop(0)
                leaves.update({arg.id: arg for arg in base.args})
                taken.append((key, base))
            index = {key: i for i, key in enumerate(leaves)}
            pairs = [(KINDS[base.function], index[base.args[0].id], index[base.args[1].id]) for _, base in taken]
            planes = np.empty((len(taken), n), np.bool_)
            compare_all([_fixed(leaf.values()) for leaf in leaves.values()], pairs, planes)
            for (key, _), plane in zip(taken, planes, strict=True):
                self._batch[key] = plane

    def of(self, node: Node) -> Array:
        """Return the values of an expression of flags or small numbers; nobody may write to them.

        What lies between the comparisons and the result is dropped at once: memory that stays warm is what makes this
        quick. The result is kept, because combinations that differ in a stop alone share it.
        """
        found = self._made.get(node.id)
        if found is None:
            return self._keep(node.id, self._within(node, {}))
        self._made.move_to_end(node.id)
        return found

    def _within(self, node: Node, passing: dict[int, Array]) -> Array:
        if node.made is not None:
            return node.made
        for known in (self._batch, self._made, passing):
            found = known.get(node.id)
            if found is not None:
                return found
        found = passing[node.id] = self._make(node, passing)
        return found

    def _make(self, node: Node, passing: dict[int, Array]) -> Array:
        if isinstance(node, Part) and _narrow(node.base):
            return self._within(node.base, passing)[node.start : node.start + node.n]
        if isinstance(node, Constant):
            return np.full(node.n, node.value)
        if isinstance(node, Patch) and _narrow(node.patch):
            made = np.empty(node.n, node.dtype)
            end = node.start + node.patch.n
            before = self._within(node.base, passing)
            made[: node.start], made[end:] = before[: node.start], before[end:]
            made[node.start : end] = self._within(node.patch, passing)
            return made
        if isinstance(node, Cast) and _narrow(node.base):
            return self._within(node.base, passing).astype(node.dtype)
        if isinstance(node, Apply) and all(_narrow(child) for child in node.children()):
            return self._applied(node, passing)
        return _blockwise(node)

    def _applied(self, node: Apply, passing: dict[int, Array]) -> Array:
        if node.function is np.where:
            condition, one, other = node.args
            if isinstance(one, np.int8) and isinstance(other, np.int8) and condition.dtype == np.bool_ and other == 0:
                # What most strategies' sides are: 1 where a flag stands.
                flags = self._within(condition, passing).view(np.int8)
                return flags if one == 1 else flags * one
        made: Array = node.function(
            *[self._within(arg, passing) if isinstance(arg, Node) else arg for arg in node.args]
        )
        return made

    def _bases(self, node: Node) -> Iterator[Apply]:
        """Find the comparisons of wide columns below an expression that are not made yet."""
        if node.made is not None or node.id in self._made or isinstance(node, Constant):
            return
        if all(_narrow(child) for child in node.children()):
            for child in node.children():
                yield from self._bases(child)
        elif isinstance(node, Apply):
            yield node

    def _keep(self, key: int, plane: Array) -> Array:
        self._made[key] = plane
        self._held += plane.nbytes
        while self._held > self._room and len(self._made) > 1:
            self._held -= self._made.popitem(last=False)[1].nbytes
        return plane


def _blockwise(node: Node) -> Array:
    """Make an expression in blocks, so that what lies between stays in the cache."""
    made = np.empty(node.n, node.dtype)
    for low in range(0, node.n, BLOCK):
        made[low : low + BLOCK] = node.block(low, min(low + BLOCK, node.n))
    return made


def _is_plain(node: Apply) -> bool:
    """Whether it compares two whole columns of floats that exist."""
    return (
        node.function in KINDS
        and len(node.args) == 2  # noqa: PLR2004 - of two columns
        and all(isinstance(arg, Leaf) and arg.dtype == np.float64 for arg in node.args)
    )


def _fixed(array: Array) -> Array:
    """Return a view that cannot be written to: one type for all columns, one machine code."""
    view = array.view()
    view.flags.writeable = False
    return view


def _narrow(node: Node) -> bool:
    return node.dtype.itemsize == 1
