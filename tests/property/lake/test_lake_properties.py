"""Invariants of files, lake, hash and resampling over random records."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.engine import Bars
from omega.storage.lake import Lake, Origin, Series, content_hash, import_file, open_candles, resample
from omega.storage.lake.store import uncovered

MINUTE_NS = 60_000_000_000
EVE_NS = 1_735_689_600_000_000_000 - 90 * MINUTE_NS
NOW_NS = 1_795_000_000_000_000_000
FIELDS = ("ts", "open", "high", "low", "close", "volume")
ORIGIN = Origin("s", "", ("import",), "c", 1)


@st.composite
def records(draw: st.DrawFn, *, least: int = 1) -> Bars:
    """Minutes with holes around a turn of the year, prices and volumes as venues print them."""
    minutes = np.array(sorted(draw(st.sets(st.integers(0, 240), min_size=least, max_size=120))))
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = np.round(seed.uniform(90, 110, (4, len(minutes))), 2)
    volume = np.round(seed.uniform(0, 50, len(minutes)), draw(st.integers(0, 8)))
    return Bars.of(EVE_NS + minutes * MINUTE_NS, points[0], points.max(axis=0), points.min(axis=0), points[1], volume)


def equal(one: Bars, other: Bars) -> bool:
    return all(getattr(one, name).tolist() == getattr(other, name).tolist() for name in FIELDS)


def csv_file(folder: Path, bars: Bars) -> Path:
    path = folder / "BTCUSDT-1m.csv"
    rows = zip(*(getattr(bars, name).tolist() for name in FIELDS), strict=True)
    lines = [",".join(FIELDS), *(",".join(repr(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@given(bars=records())
@settings(max_examples=25, deadline=None)
def test_import_then_read_gives_the_same_bars(bars: Bars) -> None:
    """From CSV text through the lake's Parquet and back, to the last bit; a second import changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        file = open_candles(csv_file(Path(folder), bars))
        report = import_file(lake, file, "venue", command="c", now_ns=NOW_NS)
        read = lake.read(report.series)
        again = import_file(lake, file, "venue", command="c", now_ns=NOW_NS)

    assert equal(read, bars)
    assert content_hash(read) == content_hash(bars)
    assert (again.written.added, again.written.years) == (0, [])


@given(bars=records(), cuts=st.lists(st.integers(0, 120), max_size=3), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_import_in_any_pieces_and_order_gives_the_same_lake(bars: Bars, cuts: list[int], order: object) -> None:
    """Overlapping pieces, in any order, end in the same bars."""
    edges = sorted({0, bars.n, *(min(cut, bars.n) for cut in cuts)})
    pieces = [bars.prefix(high).since(max(0, low - 2)) for low, high in itertools.pairwise(edges)]
    order.shuffle(pieces)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    series = Series("venue", "BTCUSDT", MINUTE_NS)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for piece in pieces:
            with lake.writer(series) as writer:
                writer.put([piece], ORIGIN)
                writer.commit()
        read = lake.read(series)

    assert equal(read, bars)


@given(bars=records(least=2), field=st.sampled_from(FIELDS), row=st.integers(0, 200))
@settings(deadline=None)
def test_hash_changes_with_any_changed_value(bars: Bars, field: str, row: int) -> None:
    """The next float, or a nanosecond more."""
    before = content_hash(bars)
    column = getattr(bars, field)
    column[row % bars.n] = np.nextafter(column[row % bars.n], np.inf) if field != "ts" else column[row % bars.n] + 1

    assert content_hash(bars) != before


@given(bars=records(), steps=st.sampled_from([(2, 4), (5, 15), (5, 60), (15, 60), (3, 30)]))
@settings(deadline=None)
def test_resample_of_resampled_is_resampled_at_once(bars: Bars, steps: tuple[int, int]) -> None:
    """In every value to the last bit; the ragged ends are cut where the lower record ends."""
    middle_ns, high_ns = steps[0] * MINUTE_NS, steps[1] * MINUTE_NS
    once = resample(bars, MINUTE_NS, high_ns).bars
    middle = resample(bars, MINUTE_NS, middle_ns).bars
    twice = resample(middle, middle_ns, high_ns).bars

    # an end that lies in a gap is ragged for one record and whole for the other: there the two may differ by a bucket
    common = np.intersect1d(once.ts, twice.ts)
    assert len(once.ts) - len(common) <= 2
    assert len(twice.ts) - len(common) <= 2
    one, two = np.isin(once.ts, common), np.isin(twice.ts, common)
    inner = slice(1, -1)
    for name in FIELDS:
        assert getattr(once, name)[one][inner].tolist() == getattr(twice, name)[two][inner].tolist()


@given(bars=records(), step=st.sampled_from([2, 5, 15, 60]))
@settings(deadline=None)
def test_resample_loses_and_invents_nothing(bars: Bars, step: int) -> None:
    made = resample(bars, MINUTE_NS, step * MINUTE_NS)

    assert made.parts.sum() + made.dropped == bars.n
    for row in range(made.bars.n):
        start = int(made.bars.ts[row])
        inside = (bars.ts >= start) & (bars.ts < start + step * MINUTE_NS)
        assert made.parts[row] == inside.sum() > 0
        assert made.bars.open[row] == bars.open[inside][0]
        assert made.bars.close[row] == bars.close[inside][-1]
        assert made.bars.high[row] == bars.high[inside].max()
        assert made.bars.low[row] == bars.low[inside].min()
        assert abs(made.bars.volume[row] - bars.volume[inside].sum()) <= 1e-12 * bars.volume[inside].sum()


@given(
    spans=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
    wanted=st.tuples(st.integers(0, 15), st.integers(15, 30)),
)
@settings(deadline=None)
def test_uncovered_and_covered_make_the_whole(spans: list[tuple[int, int]], wanted: tuple[int, int]) -> None:
    open_parts = uncovered(wanted, spans)

    covered = {k for low, high in spans for k in range(low, high)}
    missing = {k for low, high in open_parts for k in range(low, high)}
    assert missing == set(range(*wanted)) - covered
    assert open_parts == sorted(open_parts)
