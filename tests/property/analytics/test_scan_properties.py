"""No look-ahead in any family, and bar by bar is the same as all at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.analytics.findings import NEVER, Findings, joined
from omega.analytics.pivots import HIGH, LOW, by_reversal, by_window
from omega.analytics.scan import WINDOW, Scanner, scan
from omega.domain import Bar
from omega.engine import Bars
from tests.unit.analytics.worlds import fair, times

COLUMNS = [f.name for f in dataclasses.fields(Findings) if f.name not in {"kinds", "mitigated"}]


def wild(n: int, seed: int, grain: float) -> Bars:
    """Return bars with gaps, flat stretches and equal prices: what a coarse, thin market looks like."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(3, n) * rng.choice([0.0, 0.2, 1.0, 4.0], n)
    close = np.maximum(np.round((200.0 + np.cumsum(moves)) / grain), 2.0) * grain
    open_ = np.maximum(
        np.round((np.concatenate([close[:1], close[:-1]]) + rng.choice([0.0, 0.0, 1.0], n)) / grain), 2.0
    )
    open_ *= grain
    reach = np.round(np.abs(rng.normal(0.0, 1.0, (2, n))) / grain) * grain
    high, low = np.maximum(open_, close) + reach[0], np.maximum(np.minimum(open_, close) - reach[1], grain)
    return Bars.of(times(n), open_, high, low, close, np.ones(n))


def worlds(most: int = 600) -> st.SearchStrategy[Bars]:
    """Return fair and wild markets of up to so many bars."""
    return st.builds(
        lambda n, seed, grain, calm: fair(n, seed, step=grain / 50) if calm else wild(n, seed, grain),
        n=st.integers(1, most),
        seed=st.integers(0, 10**9),
        grain=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
        calm=st.booleans(),
    )


def same(one: Findings, other: Findings) -> None:
    """Compare two tables column by column, but for what came later to their zones."""
    assert one.kinds == other.kinds
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.req("1.14", "2.52")
@settings(max_examples=40, deadline=None)
@given(bars=worlds(), share=st.floats(0.0, 1.0))
def test_scan_of_a_prefix_is_the_prefix_of_the_scan(bars: Bars, share: float) -> None:
    """Cutting the future off changes no earlier finding, and of the returns to its zone only those after the cut."""
    cut = max(1, int(share * bars.n))

    whole, early = scan(bars), scan(bars.prefix(cut))

    known = whole.take(whole.confirmed < cut)
    same(known, early)
    np.testing.assert_array_equal(np.where(known.mitigated < cut, known.mitigated, NEVER), early.mitigated)


@settings(max_examples=15, deadline=None)
@given(bars=worlds(200), share=st.floats(0.0, 1.0))
def test_scanner_bar_by_bar_finds_what_the_scan_finds(bars: Bars, share: float) -> None:
    begin = max(1, int(share * bars.n)) if bars.n > 1 else 1
    scanner = Scanner()

    parts = [scanner.read(bars.prefix(begin))]
    parts += [scanner.push(bar) for bar in rows(bars, begin)]

    same(scan(bars), joined(parts))


def test_scanner_goes_on_beyond_its_window() -> None:
    """Pivots, shapes and zones older than the bars at hand still count."""
    bars = fair(3 * WINDOW // 2, 11)
    scanner = Scanner(reversal=1.0)  # short legs: many shapes

    found = joined([scanner.push(bar) for bar in rows(bars, 0)])

    same(scan(bars, reversal=1.0), found)
    assert len(found.named("order_block_return")) > 0
    assert len(found.named("double_top")) > 0


def test_scanner_waits_for_a_shape_up_to_its_last_bar() -> None:
    """A break on the last bar that counts is found bar by bar, too."""
    bars = fair(12_000, 2)
    known = by_reversal(bars, 1.0)
    confirmed = dict(zip(known.row.tolist(), known.confirmed.tolist(), strict=True))
    late = [
        finding.confirmed
        for finding in scan(bars, ["shapes"], reversal=1.0)
        if finding.confirmed == confirmed[finding.points[-1].row] + finding.points[-1].row - finding.points[0].row
    ]
    assert late

    for last in late[:3]:
        scanner = Scanner(["shapes"], reversal=1.0)
        scanner.read(bars.prefix(last - 2))
        told = [scanner.push(bar) for bar in rows(bars.prefix(last + 1), last - 2)]
        same(scan(bars.prefix(last + 1), ["shapes"], reversal=1.0).since(last), told[-1])
        assert len(told[-1])


@settings(max_examples=40, deadline=None)
@given(bars=worlds())
def test_findings_are_sound(bars: Bars) -> None:
    """No point lies after the confirming bar; targets lie ahead and the invalidation behind, at positive prices."""
    found = scan(bars)
    sided = found.direction != 0
    side = found.direction[sided].astype(float)
    price = found.price[sided]

    assert (found.point_row <= np.repeat(found.confirmed, np.diff(found.first))).all()
    assert (side * (price - found.invalidation[sided]) > 0.0).all()
    for column in found.targets[sided].T:
        assert (side * (column - price) > 0.0).all()
        assert (column > 0.0).all()
    assert ((found.score > 0.0) & (found.score <= 1.0)).all()
    assert not (found.zone[:, 0] > found.zone[:, 1]).any()
    np.testing.assert_array_equal(found.ts, bars.ts[found.confirmed])
    assert (np.diff(found.confirmed) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(bars=worlds(), multiple=st.sampled_from([0.5, 1.5, 3.0, 6.0]))
def test_pivots_by_reversal_alternate_and_stand_out(bars: Bars, multiple: float) -> None:
    found = by_reversal(bars, multiple)

    assert (np.diff(found.kind) != 0).all()
    assert (np.diff(found.row) > 0).all()
    assert (found.row < found.confirmed).all()
    np.testing.assert_array_equal(found.price, np.where(found.kind == HIGH, bars.high[found.row], bars.low[found.row]))
    for row, confirmed, kind, price in zip(found.row, found.confirmed, found.kind, found.price, strict=True):
        until = slice(row, confirmed + 1)
        assert (bars.high[until].max() if kind == HIGH else bars.low[until].min()) == price


@settings(max_examples=40, deadline=None)
@given(bars=worlds(), span=st.integers(1, 8), share=st.floats(0.0, 1.0))
def test_pivots_by_window_are_extremes_known_a_span_later(bars: Bars, span: int, share: float) -> None:
    cut = max(1, int(share * bars.n))

    found, early = by_window(bars, span), by_window(bars.prefix(cut), span)

    known = found.known(cut - 1)
    for name in ("row", "confirmed", "ts", "price", "kind"):
        np.testing.assert_array_equal(getattr(known, name), getattr(early, name))
    for row, kind in zip(found.row, found.kind, strict=True):
        around = slice(row - span, row + span + 1)
        assert (
            (bars.high[around].max() == bars.high[row]) if kind == HIGH else (bars.low[around].min() == bars.low[row])
        )
    assert set(found.kind.tolist()) <= {HIGH, LOW}


def rows(bars: Bars, first: int) -> list[Bar]:
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [Bar(*row) for row in zip(*[column[first:].tolist() for column in columns], strict=True)]
