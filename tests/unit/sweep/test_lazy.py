"""Traced columns: the same numbers as arrays, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.backtest.sweep.lazy import Column, Planes, Untraceable, bits, cast
from omega.backtest.sweep.lazy.nodes import Leaf

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=20_000), RNG.normal(size=20_000)
ROWS = np.array([0, 1, 17, 8191, 8192, 19_999])


def _columns() -> tuple[Any, Any]:
    return Column(Leaf(A, "a")), Column(Leaf(B, "b"))


def _crossed(a: Any, b: Any) -> Any:
    made = np.zeros_like(a, dtype=np.bool_)
    above = a > b
    made[1:] = above[1:] & ~above[:-1]
    return made


def _patched(a: Any, b: Any) -> Any:
    made = a > b
    made[70:9_000] = b[70:9_000] > 0.0
    made[-5:] = False
    return made


def _patched_in_the_middle(a: Any, b: Any) -> Any:
    made = a <= b
    made[64:4_000] = (a > b)[1:3_937] & ~(b > a)[30:3_966]
    seen = made.copy()
    seen[3:700] = made[500:1_197]
    return seen[1:]


def _masked(a: Any, b: Any) -> Any:
    made = np.zeros_like(a)
    made[(a > b) & (b > 0.0)] = 1.0
    made[a < -1.0] = -1.0
    return made


def _in_place(a: Any, b: Any) -> Any:
    made = a * 2.0
    made += b
    made *= 0.5
    return made


EXPRESSIONS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + 2.0 * b,
    lambda a, b: np.where(a > b, 1, np.where(b > 0.5, -1, 0)),
    lambda a, b: np.maximum(a, b).astype(np.float32),
    lambda a, b: np.where(~(a > b) | (b == 0.0), a, 0.0)[5:-3] * 2.0,
    lambda a, b: (a - b)[1:] > (a - b)[:-1],
    _crossed,
    _masked,
    _in_place,
    lambda a, b: np.divide(a, b, out=np.zeros_like(a), where=np.abs(b) > 0.1),
    lambda a, b: np.maximum.accumulate(np.where(a > b, a, -9.0)),
    lambda a, b: a[np.argsort(b)],
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_column_gives_the_very_bits_of_the_array(expression: Callable[[Any, Any], Any]) -> None:
    plain = expression(A, B)

    traced = expression(*_columns())

    assert np.array_equal(np.asarray(traced), plain)
    assert np.asarray(traced).dtype == plain.dtype
    again = expression(*_columns())
    if isinstance(again, Column):
        rows = ROWS[len(plain) > ROWS]
        assert np.array_equal(again.node.at(rows), plain[rows])
        assert np.array_equal(again.node.block(8000, 9000), plain[8000:9000])


@pytest.mark.parametrize(
    "expression",
    [
        _crossed,
        _patched,
        lambda a, b: (a > b) & (b > 0.0),
        lambda a, b: ~(a > b) ^ (a <= b),
        lambda a, b: (a > 1.01 * b)[100:9_000],
        lambda a, b: np.where(a > b, 1, np.where(b > 0.5, -1, 0)),
        lambda a, b: np.where(a > b, a < 0.0, b >= 0.0),
        lambda a, b: (a > 0.0) == (b > 0.0),
        lambda a, b: (a > b)[70:] & ~(a <= b)[:-70] & (b > 0.5)[3:-67],
        _patched_in_the_middle,
    ],
)
@pytest.mark.parametrize("n", [20_000, 19_968, 9_001])
def test_planes_stand_where_the_array_is_not_zero(expression: Callable[[Any, Any], Any], n: int) -> None:
    a, b = Column(Leaf(A[:n], ("a", n))), Column(Leaf(B[:n], ("b", n)))
    node, again = (
        made if made.dtype == np.bool_ else cast(made, np.dtype(np.int8))
        for made in (expression(a, b).node, expression(a, b).node)
    )
    planes = Planes()

    planes.prepare([node])

    plain = expression(A[:n], B[:n])
    words = planes.of(node)
    assert np.array_equal(bits.unpacked(words, len(plain)), plain != 0)
    assert np.array_equal(bits.packed(plain != 0), words), "nothing stands behind the last row"
    assert np.array_equal(bits.rows_of(words, np.empty(n, np.int64)), np.flatnonzero(plain))
    assert planes.of(again) is words, "equal expressions share one plane"


def test_plane_that_is_kept_keeps_nothing_else() -> None:
    """Comparisons are made many in one piece of memory; the one that is kept must not hold on to it."""
    a, b = _columns()
    planes = Planes()
    node = (a > b).node
    planes.prepare([node, (b > a).node])

    assert planes.of(node).base is None


@given(
    n=st.integers(1, 200),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    by=st.integers(-300, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_words_are_moved_and_patched_as_arrays_are(n: int, bounds: tuple[float, float], by: int, seed: int) -> None:
    low, high = sorted(int(share * n) for share in bounds)
    flags, patch = np.random.default_rng(seed).random((2, n)) > 0.5
    rows = np.arange(n) - by
    found = np.where((rows >= 0) & (rows < n), flags[np.clip(rows, 0, n - 1)], False)
    joined = flags.copy()
    joined[low:high] = patch[low:high]

    moved = bits.trimmed(bits.moved(bits.packed(flags), by, bits.room(n)), n)
    whole = bits.patched(bits.packed(flags), bits.packed(patch), low, high)

    assert np.array_equal(moved, bits.packed(found))
    assert np.array_equal(whole, bits.packed(joined))
    assert np.array_equal(bits.trimmed(bits.constant(stands=True, size=bits.room(n)), n), bits.packed(flags | ~flags))


def test_column_refuses_a_change_behind_a_view() -> None:
    a, _ = _columns()
    made = a * 1.0
    made[1:]

    with pytest.raises(Untraceable):
        made[0] = 5.0


def test_column_refuses_a_change_through_a_view() -> None:
    a, _ = _columns()
    made = a * 1.0

    with pytest.raises(Untraceable):
        made[1:][0] = 5.0


def test_column_takes_a_copy_of_an_array_that_the_strategy_may_change() -> None:
    a, _ = _columns()
    own = np.ones(len(A))

    made = a + own
    own[:] = 7.0

    assert np.array_equal(np.asarray(made), A + 1.0)


def test_column_hands_out_values_that_cannot_be_written() -> None:
    a, _ = _columns()

    with pytest.raises(ValueError, match="read-only"):
        (a * 1.0).sort()
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(a * 1.0)[0] = 1.0
