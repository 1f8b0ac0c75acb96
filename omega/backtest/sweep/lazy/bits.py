"""Flags of a whole history, sixty-four rows a word: what a combination asks of every row takes 64 KB a year of minutes.

Called by `Planes` and by the walker. Row r is bit r % 64 of word r // 64; the bits behind the last row are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omega.engine.bars import F64, I64, Flags

Words = npt.NDArray[np.uint64]

WORD: Final = 64
_BYTE: Final = 8

BLOCK: Final = 32
"""Words of a block: so many rows of a dozen columns of floats fill two hundred kilobytes of cache."""

MOST: Final = 16
"""Columns in one go: the machine code is made for so many, whatever is given."""

_NONE: Final = np.uint64(0)
_EVERY: Final = ~_NONE

KINDS: Final[dict[object, int]] = {np.greater: 0, np.less: 1, np.greater_equal: 2, np.less_equal: 3}


def room(n: int) -> int:
    """Return how many words hold n rows."""
    return -(-n // WORD)


def packed(flags: npt.NDArray[Any]) -> Words:
    """Return flags as words."""
    made = np.zeros(room(len(flags)), np.uint64)
    octets = np.packbits(flags, bitorder="little")
    made.view(np.uint8)[: len(octets)] = octets
    return made


def unpacked(words: Words, n: int) -> Flags:
    """Return n rows as flags of a byte each."""
    return np.unpackbits(words.view(np.uint8), count=n, bitorder="little").view(np.bool_)


def constant(stands: bool, size: int) -> Words:  # noqa: FBT001 - what it is
    """Return words of which all bits are the same, without taking memory for them."""
    return np.broadcast_to(_EVERY if stands else _NONE, size)


def moved(words: Words, by: int, size: int) -> Words:
    """Return so many words with every flag `by` rows further on, back when negative; where none comes from stands 0."""
    whole, shift = divmod(by, WORD)
    made = np.empty(size, np.uint64)
    low = min(max(whole, 0), size)
    high = max(min(len(words) + whole, size), low)
    made[:low] = made[high:] = 0
    np.left_shift(words[low - whole : high - whole], np.uint64(shift), out=made[low:high])
    low, high = max(whole + 1, 0), min(len(words) + whole + 1, size)
    if shift and low < high:
        made[low:high] |= words[low - whole - 1 : high - whole - 1] >> np.uint64(WORD - shift)
    return made


def patched(words: Words, patch: Words, low: int, high: int) -> Words:
    """Return flags of which rows low to high are those of the patch, row for row."""
    made = patch.copy()
    first, bit = divmod(low, WORD)
    last, behind = divmod(high, WORD)
    made[:first], made[last + 1 :] = words[:first], words[last + 1 :]
    for word, kept in ((first, _below(bit)), (last, ~_below(behind))):
        if word < len(made):
            made[word] = (words[word] & kept) | (made[word] & ~kept)
    return made


def trimmed(words: Words, n: int) -> Words:
    """Return flags without what stands behind the last of n rows; words of one's own are changed in place."""
    made = words if words.flags.writeable else words.copy()
    if n % WORD and made[-1] & ~_below(n % WORD):
        made[-1] &= _below(n % WORD)
    return made


def rows_of(words: Words, rows: I64) -> I64:
    """Return the rows whose flags stand, rising, in the front of `rows`, which must have room for them."""
    return rows[: _rows()(words.view(np.int64), rows)]


def compare_all(columns: list[F64], pairs: list[tuple[int, int, int]], words: Any) -> None:
    """Fill row j of the words with the comparison `pairs[j]`: (kind, index of one column, index of the other).

    Shapes: columns (n,) each, at most MOST; words (len(pairs), room(n)).
    """
    given = tuple(columns) + (columns[0],) * (MOST - len(columns))
    _comparison()(given, np.array(pairs, np.int64), words.view(np.int64))


def find_rows(words: I64, rows: I64) -> int:
    """Write the numbers of the bits that stand and return how many they are."""
    count = 0
    for w in range(words.shape[0]):
        word = words[w]
        while word != 0:
            below = (word & -word) - 1
            place = 0
            while below != 0:  # counts the bits below the lowest one that stands; a single instruction, compiled
                below &= below - 1
                place += 1
            rows[count] = 64 * w + place
            count += 1
            word &= word - 1
    return count


def compare(columns: Any, pairs: I64, words: I64) -> None:
    """Compare columns, many at once: block after block, so that every column is read from memory once."""
    size = words.shape[1]
    low = 0
    while low < size:
        high = min(low + BLOCK, size)
        for j in range(pairs.shape[0]):
            kind = pairs[j, 0]
            # What is less the one way round is greater the other.
            first, second = (pairs[j, 2], pairs[j, 1]) if kind & 1 else (pairs[j, 1], pairs[j, 2])
            one, other = columns[first][WORD * low : WORD * high], columns[second][WORD * low : WORD * high]
            if kind < 2:  # noqa: PLR2004 - see KINDS
                fill_greater(one, other, words[j, low:high])
            else:
                fill_not_less(one, other, words[j, low:high])
        low = high


def fill_greater(one: F64, other: F64, words: I64) -> None:
    """Fill words with where one column is greater than the other."""
    whole = one.shape[0] // WORD
    for w in range(whole):
        bits = 0
        a, b = one[WORD * w : WORD * w + WORD], other[WORD * w : WORD * w + WORD]
        for i in range(WORD):  # a number that is known beforehand: machine code without an end of its own
            bits |= (1 << i) if a[i] > b[i] else 0
        words[w] = bits
    if whole < words.shape[0]:
        words[whole] = 0
        for i in range(WORD * whole, one.shape[0]):
            words[whole] |= (1 << (i & 63)) if one[i] > other[i] else 0


def fill_not_less(one: F64, other: F64, words: I64) -> None:
    """Fill words with where one column is greater than the other or equal."""
    whole = one.shape[0] // WORD
    for w in range(whole):
        bits = 0
        a, b = one[WORD * w : WORD * w + WORD], other[WORD * w : WORD * w + WORD]
        for i in range(WORD):
            bits |= (1 << i) if a[i] >= b[i] else 0
        words[w] = bits
    if whole < words.shape[0]:
        words[whole] = 0
        for i in range(WORD * whole, one.shape[0]):
            words[whole] |= (1 << (i & 63)) if one[i] >= other[i] else 0


def _below(bit: int) -> np.uint64:
    """Return a word in which the bits below one stand."""
    return np.uint64((1 << bit) - 1)


@cache
def _rows() -> Callable[..., int]:
    from omega.backtest.compile import compiled

    return compiled(find_rows)


@cache
def _comparison() -> Callable[..., None]:
    from omega.backtest.compile import compiled

    return compiled(compare)
