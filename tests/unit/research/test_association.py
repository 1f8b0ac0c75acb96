"""Correlation of a factor with the next bar: planted ones are found, chance is called chance, and nothing leaks."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from omega import plugins
from omega.cli.cosmic import app
from omega.domain import from_iso
from omega.errors import CorruptData
from omega.research.association import associations, factor_columns

HOUR_NS = 3_600 * 10**9
N = 600


def closes(returns: np.ndarray) -> np.ndarray:
    return 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))


@pytest.mark.req("1.17", "0.72")
def test_association_that_is_planted_is_found_at_the_next_bar_and_nowhere_else():
    rng = np.random.default_rng(1)
    factor = rng.normal(size=N)
    returns = 0.01 * rng.normal(size=N - 1)
    close = closes(returns + 0.005 * factor[:-1])

    rows, _ = associations({"planted": factor, "late": np.roll(factor, 1), "noise": rng.normal(size=N)}, close)

    found = {(row.factor, row.target): row for row in rows}
    planted = found["planted", "return"]
    assert planted.verdict(0.05) == "significant"
    assert planted.correlation == pytest.approx(0.44, abs=0.1)
    assert planted.effect == pytest.approx(0.005, abs=0.0012)
    assert found["late", "return"].verdict(0.05) == "not significant"
    assert found["noise", "return"].verdict(0.05) == "not significant"
    assert planted.correlation == pytest.approx(np.corrcoef(factor[:-1], np.diff(np.log(close)))[0, 1])


@pytest.mark.req("1.17")
def test_association_of_chance_is_rejected_at_the_nominal_rate():
    """Under the null the ranks are even: of 300 p-values about 15 lie below 5 %, more than 30 in one run of 10,000."""
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(150):
        slow = np.sin(2 * np.pi * (np.arange(N) / 41.3 + rng.uniform()))
        rows, _ = associations({"slow": slow}, closes(0.01 * rng.normal(size=N - 1)), draws=199)
        p_values += [row.p_value for row in rows]

    assert sum(p <= 0.05 for p in p_values) <= 30
    assert all(0.0 < p <= 1.0 for p in p_values)


def test_association_leaves_out_what_never_changes_or_is_hardly_known():
    close = closes(np.full(N - 1, 0.001))
    hardly = np.full(N, np.nan)
    hardly[:20] = 1.0

    rows, left_out = associations({"still": np.ones(N), "hardly": hardly, "moves": np.arange(float(N))}, close)

    assert left_out == ("hardly", "still")
    assert {row.factor for row in rows} == {"moves"}


def test_association_of_unsound_rows_is_refused():
    with pytest.raises(CorruptData):
        associations({"x": np.ones(N)}, np.ones(N - 1))
    with pytest.raises(CorruptData):
        associations({"x": np.ones(N)}, np.zeros(N))


def test_columns_of_every_factor_with_a_past_are_aligned_with_the_bars():
    ts = from_iso("2025-05-01T00:00:00Z") + np.arange(100, dtype=np.int64) * HOUR_NS

    columns = factor_columns(ts, HOUR_NS, (), (40.0, -74.0))

    unknown = {entry.name for entry in plugins.factors if entry.kind == "fetched"}
    assert set(columns) == set(plugins.factors.names()) - unknown
    assert all(column.shape == ts.shape and np.isfinite(column).all() for column in columns.values())
    assert (np.abs(columns["moon_phase"]) <= 1.0).all()


@pytest.mark.req("0.71", "1.17")
def test_study_on_what_the_project_carries_finds_nothing_and_lists_what_fails(tmp_path: Path):
    done = CliRunner().invoke(app, ["study", "--timeframe", "4h", "--json"], catch_exceptions=False)

    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found["bars"] == 180
    assert {row["factor"] for row in found["retire"]} >= {"moon_phase", "planetary_aspects"}
    assert all(0.0 < row["p_value"] <= row["q_value"] <= 1.0 for row in found["associations"])
    assert "market_liquidity" in found["without_history"]
