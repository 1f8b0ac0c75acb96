"""Market structure drawn by hand: swings, breaks, blocks, gaps and the first return to a zone."""

from __future__ import annotations

import numpy as np
import pytest

from omega.analytics.findings import NEVER
from omega.analytics.scan import Scanner, scan
from omega.domain import Bar
from omega.engine import LONG, SHORT, Bars

from .worlds import fair, through, times

RISE = [1_000.0, 1_100.0, 1_050.0, 1_150.0, 1_100.0, 1_200.0]


@pytest.mark.req("1.14")
def test_structure_names_swings_by_the_one_before() -> None:
    bars = through([1_050.0, *RISE, 1_140.0, 1_180.0, 1_000.0, 1_100.0])

    names = [
        (f.name, f.points[-1].price) for f in scan(bars, ["structure"]) if f.name.split("_")[0] in {"higher", "lower"}
    ]

    assert ("higher_high", 1_150.0) in names
    assert ("higher_low", 1_100.0) in names
    assert ("lower_high", 1_180.0) in names
    assert ("lower_low", 1_000.0) in names


@pytest.mark.req("1.14")
def test_structure_break_against_the_trend_is_a_change_of_character() -> None:
    bars = through([1_050.0, *RISE, 1_150.0, 1_180.0, 1_000.0])

    found = [f for f in scan(bars, ["structure"]) if f.name in {"break_of_structure", "change_of_character"}]

    assert [(f.name, f.direction) for f in found][-1] == ("change_of_character", SHORT)
    assert ("break_of_structure", LONG) in [(f.name, f.direction) for f in found]
    last = found[-1]
    assert last.points[0].price == 1_150.0
    assert last.price < 1_150.0 <= bars.close[last.confirmed - 1]


def test_structure_block_is_the_last_candle_against_the_break() -> None:
    found = list(scan(through([1_050.0, *RISE]), ["structure"]).named("order_block"))

    block = next(f for f in found if f.direction == LONG)
    assert block.zone is not None
    assert block.zone[1] <= block.price
    assert block.points[0].row < block.confirmed
    assert block.mitigated == NEVER


def gap() -> Bars:
    """Return a quiet market with one gap upwards at bar 22, price back in it at bar 30."""
    n = 40
    close = np.full(n, 100.0)
    close[21], close[22:30], close[30:] = 110.0, 111.0, 104.0
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) + 0.5, np.minimum(open_, close) - 0.5
    return Bars.of(times(n), open_, high, low, close, np.ones(n))


@pytest.mark.req("1.14")
def test_structure_gap_is_known_with_its_third_bar_and_mitigated_by_the_first_return() -> None:
    found = scan(gap(), ["structure"])

    (up,) = [f for f in found if f.name == "fair_value_gap" and f.direction == LONG]
    (back,) = [f for f in found if f.name == "fair_value_gap_return" and f.direction == LONG]

    assert (up.confirmed, up.zone, up.invalidation) == (22, (100.5, 109.5), 100.5)
    assert up.mitigated == back.confirmed == 30
    assert back.zone == up.zone


def test_structure_gap_mitigated_live_is_told_by_a_finding() -> None:
    bars, scanner = gap(), Scanner(["structure"])
    scanner.read(bars.prefix(25))
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)

    told = [
        finding.name
        for row in zip(*[column[25:].tolist() for column in columns], strict=True)
        for finding in scanner.push(Bar(*row))
        if finding.direction == LONG
    ]

    assert "fair_value_gap_return" in told


def test_structure_zone_returns_are_first_trades_in_the_zone() -> None:
    bars = fair(4_000, 5)
    zones = scan(bars, ["structure"])
    names = {i for i, kind in enumerate(zones.kinds) if kind.name in {"order_block", "fair_value_gap"}}
    checked = 0

    for finding in zones.take(np.isin(zones.kind, list(names))):
        assert finding.zone is not None
        end = bars.n if finding.mitigated == NEVER else finding.mitigated
        before = slice(finding.confirmed + 1, min(end, finding.confirmed + 1_001))
        outside = (
            bars.low[before] > finding.zone[1] if finding.direction == LONG else bars.high[before] < finding.zone[0]
        )
        assert outside.all()
        checked += 1
    assert checked > 100
