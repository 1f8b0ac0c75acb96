"""The scan as a whole: what it takes, what it refuses, and what it finds in the carried record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from omega.analytics.findings import Family
from omega.analytics.scan import KINDS, Scanner, scan
from omega.domain import Bar
from omega.engine import Bars
from omega.errors import ConfigError, CorruptData

from .worlds import MINUTE_NS, fair

ROOT = Path(__file__).resolve().parents[3]


def carried(count: int) -> Bars:
    """Return the first minutes of the record that the project carries."""
    columns = ("ts", "open", "high", "low", "close", "volume")
    table = parquet.read_table(ROOT / "data/candles/BTCUSDT-1m.parquet", columns=list(columns)).slice(0, count)
    ts, *prices = (table[name].to_numpy() for name in columns)
    return Bars.of(ts.astype(np.int64) * 1_000_000, *prices)


@pytest.mark.req("1.14")
def test_scan_finds_every_family_in_the_carried_record_and_looks_ahead_in_none() -> None:
    bars = carried(20_000)
    whole = scan(bars)

    assert {finding.family for finding in whole.take(np.arange(0, len(whole), 7))} == set(Family)
    for cut in (5_000, 12_345, 19_999):
        early = scan(bars.prefix(cut))
        known = whole.take(whole.confirmed < cut)
        for name in ("kind", "confirmed", "direction", "score", "invalidation", "targets", "point_row", "point_price"):
            np.testing.assert_array_equal(getattr(known, name), getattr(early, name), err_msg=name)


def test_scan_of_one_family_is_its_part_of_the_whole() -> None:
    bars = fair(3_000, 4)
    whole = [finding for finding in scan(bars) if finding.family is Family.SHAPES]

    assert [f.points for f in scan(bars, ["shapes"])] == [f.points for f in whole]


def test_scan_of_nothing_finds_nothing() -> None:
    none = fair(1, 1).prefix(0)

    assert len(scan(none)) == 0
    assert scan(none).kinds == KINDS


def test_scan_kinds_are_named_once_each() -> None:
    names = [kind.name for kind in KINDS]

    assert len(set(names)) == len(names)
    assert sum(kind.family is Family.CANDLES for kind in KINDS) == 61
    assert sum(kind.family is Family.HARMONIC for kind in KINDS) == 11


@pytest.mark.parametrize("make", [lambda: scan(fair(10, 1), ["waves"]), lambda: Scanner(["waves"])])
def test_scan_names_the_families_when_one_is_unknown(make: object) -> None:
    with pytest.raises(ConfigError, match="the pattern families are candles, harmonic, shapes, structure, levels"):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("reversal", [0.0, -1.0, float("nan")])
def test_scan_refuses_a_reversal_that_is_none(reversal: float) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        scan(fair(10, 1), reversal=reversal)


def test_scanner_refuses_a_second_history() -> None:
    scanner = Scanner()
    scanner.read(fair(100, 1))

    with pytest.raises(ConfigError, match="reads one history"):
        scanner.read(fair(100, 2))


def test_scanner_keeps_what_it_has_when_a_bar_is_unsound() -> None:
    bars, scanner = fair(60, 1), Scanner()
    scanner.read(bars.prefix(50))
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    good = [Bar(*row) for row in zip(*[column[50:].tolist() for column in columns], strict=True)]

    with pytest.raises(CorruptData):
        scanner.push(Bar(good[0].ts_ns, float("nan"), 1.0, 1.0, 1.0, 1.0))
    with pytest.raises(CorruptData):
        scanner.push(Bar(good[0].ts_ns - MINUTE_NS, 1.0, 1.0, 1.0, 1.0, 1.0))

    told = [repr(finding) for bar in good for finding in scanner.push(bar)]
    whole = scan(bars).since(50)
    later = whole.mitigated >= 0  # what comes back to a zone later is told then
    assert len(told) == len(whole)
    assert [text for text, skip in zip(told, later, strict=True) if not skip] == [
        repr(finding) for finding in whole.take(~later)
    ]


def test_take_picks_points_with_their_findings() -> None:
    found = scan(fair(2_000, 6))
    picked = found.take(np.arange(len(found))[::-5])

    for i in range(0, len(picked), 11):
        assert repr(picked.at(i)) == repr(found.at(len(found) - 1 - 5 * i))
