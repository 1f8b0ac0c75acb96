"""Measured evidence: chance is not beaten where there is nothing to find, and is where something was planted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from omega.analytics.evidence import (
    COLUMNS,
    Evidence,
    Verdict,
    evidence,
    evidence_of,
    measured_timeframe,
    read_evidence,
    write_evidence,
)
from omega.analytics.findings import Family
from omega.analytics.measure import FEWEST, Market, _target_first, measure, wilson
from omega.analytics.scan import KINDS
from omega.engine import Bars
from omega.errors import CorruptData

from .worlds import MINUTE_NS, fair, of_closes, times

ROW = Evidence(
    "candles", "doji_star", "long", "target", "all", "1h", 120, 0.5, 0.41, 0.59, 0.48, 0.3, 0.9, Verdict.NOT
)  # fmt: skip


@pytest.mark.req("1.14")
def test_evidence_of_a_fair_game_does_not_beat_chance() -> None:
    """Volatility that comes and goes, coarse prices and crowding calls must not look like skill."""
    rows = measure([Market("A", "1m", MINUTE_NS, fair(8_000, 1)), Market("B", "1m", MINUTE_NS, fair(8_000, 2))])

    told = [row for row in rows if row.n >= FEWEST]
    small = sum(row.p_value < 0.05 for row in told)
    assert len(told) > 200
    assert small / len(told) < 0.09
    assert {row.verdict for row in rows} <= {Verdict.NOT, Verdict.FEW, Verdict.WORSE}
    assert sum(row.verdict is Verdict.WORSE for row in rows) <= 0.01 * len(told)


def test_evidence_of_a_planted_pattern_beats_chance() -> None:
    """After every gap upwards price goes on: the measure must see it."""
    rows = {
        (row.name, row.direction, row.measure): row
        for row in measure([Market("P", "1m", MINUTE_NS, planted(9_000, 5))])
        if row.dataset == "all"
    }

    seen = rows["fair_value_gap", "long", "target"]
    assert seen.verdict is Verdict.BEATS
    assert seen.rate > seen.base_rate + 0.05
    assert seen.low <= seen.rate <= seen.high


def planted(n: int, seed: int) -> Bars:
    """Return a fair walk in which three quick rises are followed by a drift for ten bars."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, 0.002, n)
    for k in range(50, n - 20, 60):
        moves[k : k + 2] = 0.008
        moves[k + 2 : k + 12] += 0.0015
    # The drift is taken out again over the rest: a market that only rises has no chance to beat.
    rest = np.ones(n, dtype=np.bool_)
    for k in range(50, n - 20, 60):
        rest[k : k + 12] = False
    moves[rest] -= moves.sum() / rest.sum()
    return of_closes(100.0 * np.exp(np.cumsum(moves)))


@pytest.mark.parametrize(
    ("path", "came"),
    [
        ([100, 101, 102, 104], 1.0),
        ([100, 99, 97, 110], 0.0),
        ([100, 100.5, 100, 100], 0.5),
    ],
)
def test_evidence_counts_the_end_that_trades_first(path: list[float], came: float) -> None:
    """Two below and two above: reached, undone, or given up halfway."""
    bars = of_closes(np.array(path, dtype=float))
    made, one = np.zeros(1), np.ones(1)

    _target_first(
        bars.open, bars.high, bars.low, bars.close, np.ones(4), np.zeros(1, np.int64), np.ones(1, np.int8),
        2.0 * one, 2.0 * one, 50, made,
    )  # fmt: skip

    assert made[0] == pytest.approx(came)


def test_evidence_of_a_bar_that_trades_both_ends_takes_neither_side() -> None:
    flat = np.full(2, 100.0)
    bars = Bars.of(times(2), flat, [100.0, 105.0], [100.0, 95.0], flat, np.ones(2))
    made, one = np.zeros(1), np.ones(1)

    _target_first(
        bars.open, bars.high, bars.low, bars.close, np.ones(2), np.zeros(1, np.int64), np.ones(1, np.int8),
        one, 3.0 * one, 50, made,
    )  # fmt: skip

    assert made[0] == 0.25


def test_wilson_is_the_published_interval() -> None:
    """Newcombe (1998), table I: 81 of 263."""
    assert wilson(81 / 263, 263.0) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0.0, 20.0)[0] == 0.0
    assert wilson(1.0, 20.0)[1] == 1.0


def test_evidence_file_round_trips(tmp_path: Path) -> None:
    file = tmp_path / "evidence.csv"

    write_evidence(file, [ROW])

    assert read_evidence(file) == (ROW,)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("change", "message"),
    [("p_value,", "other columns"), ("0.48", "could not convert"), ("does not beat chance", "not a valid Verdict")],
)
def test_evidence_file_that_is_spoilt_is_refused_by_line(change: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "evidence.csv"
    write_evidence(file, [ROW])
    file.write_text(file.read_text().replace(change, "wrong"), encoding="utf-8")

    with pytest.raises(CorruptData, match=message):
        read_evidence(file)


@pytest.mark.req("1.14")
def test_evidence_carried_covers_every_family_and_says_what_does_not_beat_chance() -> None:
    rows = [row for row in evidence() if row.family in set(Family)]

    names = {(kind.family, kind.name) for kind in KINDS}
    assert {(row.family, row.name) for row in rows} <= names
    assert {row.family for row in rows} == set(Family)
    assert {row.dataset for row in rows} >= {"all", "BTCUSDT", "ETHUSDT", "SOLUSDT"}
    assert {row.timeframe for row in rows} == {"15m", "1h", "1d"}
    assert sum(row.verdict is Verdict.NOT for row in rows) > sum(row.verdict is Verdict.BEATS for row in rows)
    for row in rows:
        assert 0.0 <= row.low <= row.rate <= row.high <= 1.0
        assert (row.verdict is Verdict.FEW) == (row.n < FEWEST)
        assert (row.verdict is Verdict.BEATS) == (row.n >= FEWEST and row.q_value <= 0.05)


@pytest.mark.parametrize(("minutes", "nearest"), [(1, "15m"), (15, "15m"), (45, "1h"), (240, "1h"), (720, "1d")])
def test_evidence_of_other_bars_is_that_of_the_nearest_measured(minutes: int, nearest: str) -> None:
    assert measured_timeframe(minutes * MINUTE_NS) == nearest


def test_evidence_of_a_name_is_its_row_or_says_that_there_is_none() -> None:
    known = evidence_of("double_top", "short")
    unknown = evidence_of("double_top", "sideways")

    assert (known.family, known.dataset, known.timeframe, known.measure) == ("shapes", "all", "1h", "target")
    assert f"{known.n:,}" in known.sentence()
    assert known.verdict.value in known.sentence()
    assert unknown.verdict is Verdict.UNMEASURED
    assert unknown.sentence() == "double_top: not measured"
    assert tuple(dataclasses.asdict(known)) == COLUMNS
