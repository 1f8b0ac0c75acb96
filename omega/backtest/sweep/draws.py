"""The searches whose trials are known beforehand: grid, random, Sobol. Trial k is a function of the study and k alone.

So any process can make any trial: a resumed sweep and a shard of an Indexed Job need nothing but the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np

from omega.backtest.sweep.space import Space
from omega.errors import ConfigError
from omega.params import Value

TILE: Final = 10
"""How many values of the second indicator length are taken at a time, at most: as many indicators stay in memory."""


class Draws(Protocol):
    """Numbered combinations.

    Attributes:
        count: how many there are.
    """

    count: int

    def take(self, numbers: Sequence[int]) -> list[dict[str, Value]]:
        """Return the combinations of some numbers."""
        ...


class Grid:
    """Every combination once, neighbours first: consecutive numbers share their indicators."""

    def __init__(self, space: Space) -> None:
        """Lay out the grid.

        Raises:
            ConfigError: a dimension is a range without steps.
        """
        endless = [dim.name for dim in space.dimensions if not dim.values]
        if endless:
            raise ConfigError(
                f"a grid needs steps for {', '.join(endless)}: write --space {endless[0]}=lo:hi:step, or --search sobol"
            )
        self.count = space.combinations
        self._space = space
        outer = [dim for dim in space.dimensions if dim.outer]
        self._tiled = len(outer) - 1 if len(outer) > 1 else -1
        width = space.dimensions[self._tiled].count
        self._tile = -(-width // -(-width // TILE))

    def take(self, numbers: Sequence[int]) -> list[dict[str, Value]]:
        """Return the combinations of some numbers."""
        return [self._combination(number) for number in numbers]

    def _combination(self, number: int) -> dict[str, Value]:
        """Return one combination: tiles of the tiled dimension first, then every dimension, the last one fastest."""
        dims = self._space.dimensions
        if self._tiled < 0:
            return self._digits(number, [dim.count for dim in dims], [0] * len(dims))
        width = dims[self._tiled].count
        rest = self.count // width
        tile, inside = divmod(number, rest * self._tile)
        counts = [dim.count for dim in dims]
        counts[self._tiled] = min(self._tile, width - tile * self._tile)
        starts = [0] * len(dims)
        starts[self._tiled] = tile * self._tile
        return self._digits(inside, counts, starts)

    def _digits(self, number: int, counts: Sequence[int], starts: Sequence[int]) -> dict[str, Value]:
        chosen: list[Value] = []
        for dim, count, start in zip(reversed(self._space.dimensions), reversed(counts), reversed(starts), strict=True):
            number, digit = divmod(number, count)
            chosen.append(dim.values[start + digit])
        return {dim.name: value for dim, value in zip(self._space.dimensions, reversed(chosen), strict=True)}


class Random:
    """Independent uniform draws; trial k has a generator of its own, made of the seed and k."""

    def __init__(self, space: Space, count: int, seed: int) -> None:
        self.count = count
        self._space = space
        self._seed = seed

    def take(self, numbers: Sequence[int]) -> list[dict[str, Value]]:
        """Return the combinations of some numbers."""
        size = len(self._space.dimensions)
        return [self._space.at(np.random.default_rng((self._seed, number)).random(size)) for number in numbers]


class Sobol:
    """A scrambled Sobol sequence: it fills the space more evenly than chance, and every prefix does.

    Source: Sobol 1967, Owen scrambling, as scipy.stats.qmc makes them.
    """

    def __init__(self, space: Space, count: int, seed: int) -> None:
        self.count = count
        self._space = space
        self._seed = seed

    def take(self, numbers: Sequence[int]) -> list[dict[str, Value]]:
        """Return the combinations of some numbers."""
        made: dict[int, dict[str, Value]] = {}
        for first, last in _runs(numbers):
            for offset, point in enumerate(self._points(first, last - first)):
                made[first + offset] = self._space.at(point.tolist())
        return [made[number] for number in numbers]

    def _points(self, first: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(self._space.dimensions), scramble=True, rng=np.random.default_rng(self._seed))
        # The first point alone: asked for a number that is no power of two at once, scipy warns about the balance of a
        # sample, and a slice of a sequence is none.
        points = sequence.random(1)
        if first:
            sequence.fast_forward(first - 1)
            return np.asarray(sequence.random(count), dtype=np.float64)
        return np.vstack((points, sequence.random(count - 1))) if count > 1 else np.asarray(points)


def draws_of(search: str, space: Space, *, trials: int, seed: int) -> Draws:
    """Return the numbered combinations of a search.

    Raises:
        ConfigError: the search is none of grid, random, sobol, or it needs a number of trials and has none.
    """
    if search == "grid":
        return Grid(space)
    if trials <= 0:
        raise ConfigError(f"--search {search} goes on for ever: say how many trials with --trials")
    if search == "random":
        return Random(space, trials, seed)
    if search == "sobol":
        return Sobol(space, trials, seed)
    raise ConfigError(f"--search {search!r} is unknown; there are grid, random, sobol, tpe, cma and nsga2")


def shard_of(count: int, index: int, shards: int) -> range:
    """Return the numbers of one shard: consecutive, so that they share indicators, and every number in one shard.

    Raises:
        ConfigError: there is no such shard.
    """
    if not 0 <= index < shards:
        raise ConfigError(f"there is no shard {index} of {shards}; they count from 0 to {shards - 1}")
    return range(count * index // shards, count * (index + 1) // shards)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Split numbers into runs of consecutive ones."""
    ordered = sorted(set(numbers))
    start = 0
    for i in range(1, len(ordered) + 1):
        if i == len(ordered) or ordered[i] != ordered[i - 1] + 1:
            yield ordered[start], ordered[i - 1] + 1
            start = i
