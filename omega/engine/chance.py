"""The engine's only chance: numbers drawn from seed, instant and lane by float arithmetic that is exact everywhere.

Called by the psychology's kernel functions; compiled and plain it draws the same bits.
"""

from __future__ import annotations

from typing import Final

from omega.engine.kernel import kernel
from omega.engine.scalar import whole

_PRIME: Final = 67_108_859.0  # the largest prime below 2 ** 26: a square below it is exact in a float
_SECOND: Final = 1_000_000_000.0


@kernel
def residue(value: float) -> float:
    """Remainder of a whole number from 0 to 2 ** 52 by the stream's prime, in [0, prime)."""
    left = value - whole(value / _PRIME) * _PRIME
    return left + _PRIME if left < 0.0 else left


@kernel
def stirred(value: float) -> float:
    """Fifth power of a residue: a permutation without a pattern, for 5 is coprime to the prime less one."""
    square = residue(value * value)
    return residue(residue(square * square) * value)


@kernel
def draw(seed: float, ts_ns: int, lane: float) -> float:
    """Uniform number in [0, 1) that is a function of seed, instant and lane: the model's only chance.

    Units: seed and lane whole numbers below 2 ** 26; ts_ns in ns UTC, its whole seconds count.
    Source: a counter-based stream; no state is carried, so a replay from any bar draws the same numbers.
    """
    second = residue(whole(ts_ns / _SECOND))
    mixed = stirred(residue(seed * 48_271.0 + lane * 69_621.0 + 12_345.0))
    mixed = stirred(residue(mixed + second))
    mixed = stirred(residue(mixed * 16_807.0 + second + lane))
    return stirred(residue(mixed + seed)) / _PRIME
