"""Invariants of scores, tails, scenarios, correlations and positions over random input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.analytics.forecast import gain, reliability, score
from omega.analytics.forecast.logistic import fit_logistic
from omega.analytics.positions import analyse_positions, golden_balance
from omega.analytics.risk import (
    Scenario,
    cornish_fisher,
    correlate_returns,
    correlated_notional,
    filtered,
    historical,
    stress,
)
from omega.engine import AccountBook, OpenPosition
from omega.engine.harmony import Harmony

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, n=st.integers(1, 300), grain=st.sampled_from([1, 2, 20]))
@settings(max_examples=40, deadline=None)
def test_scores_lie_in_their_ranges_and_bins_hold_every_forecast(seed: int, n: int, grain: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n) * grain) / grain
    up = (rng.random(n) < 0.5).astype(np.float64)

    made, bins = score(p, up), reliability(p, up)

    assert 0.0 <= made.accuracy <= 1.0
    assert 0.0 <= made.brier <= 1.0
    assert 0.0 <= made.log_loss < 14.0
    assert 0.0 <= made.calibration_error <= 1.0 + 1e-12
    assert sum(b.n for b in bins) == n
    assert sum(b.n * b.happened for b in bins) == pytest.approx(float(up.sum()))
    mirrored = score(1.0 - p, 1.0 - up)
    assert mirrored.brier == pytest.approx(made.brier)
    assert mirrored.accuracy == pytest.approx(made.accuracy)


@given(seed=SEEDS, shift=st.floats(-0.5, 0.5), block=st.floats(1.0, 30.0))
@settings(max_examples=15, deadline=None)
def test_gain_p_value_and_interval_are_what_they_say(seed: int, shift: float, block: float) -> None:
    values = np.random.default_rng(seed).normal(shift, 1.0, 150)

    made = gain(values, least_block=block)

    assert 0.0 < made.p_value <= 1.0
    assert made.low <= made.mean <= made.high
    assert made.mean == pytest.approx(float(values.mean()))


@given(seed=SEEDS, m=st.integers(2, 80), k=st.integers(1, 4), scale=st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_logistic_fit_is_a_probability_and_free_of_units(seed: int, m: int, k: int, scale: float) -> None:
    """Separable or constant, in whatever unit: the fit ends, and a change of unit changes nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 1.0, (m, k))
    up = (x[:, 0] > 0.3).astype(np.float64)

    one, two = fit_logistic(x, up), fit_logistic(x * scale, up)

    p = one.probability(x)
    assert ((p >= 0.0) & (p <= 1.0)).all()
    np.testing.assert_allclose(p, two.probability(x * scale), atol=1e-6)


@given(seed=SEEDS, tail=st.sampled_from([0.01, 0.05, 0.1]), scale=st.floats(0.1, 5.0))
@settings(max_examples=30, deadline=None)
def test_tails_scale_with_the_returns_and_shortfall_is_the_worse(seed: int, tail: float, scale: float) -> None:
    returns = np.random.default_rng(seed).standard_t(6, 300) * 0.01

    for method in (historical, cornish_fisher):
        one, two = method(returns, tail), method(returns * scale, tail)
        if not one.caveat:
            assert one.shortfall >= one.var - 1e-12
        assert two.var == pytest.approx(scale * one.var, rel=1e-6, abs=1e-9)
    drawn = filtered(returns, np.random.default_rng(seed), tail)
    assert drawn.shortfall >= drawn.var


def held(seed: int, count: int, *, balance: float = 10_000.0) -> AccountBook:
    rng = np.random.default_rng(seed)
    return AccountBook(
        balance,
        tuple(
            OpenPosition(
                "main", f"C{k}-USDT.P", int(rng.choice((-1, 1))), float(rng.uniform(0.1, 50.0)), 100.0,
                float(rng.uniform(60.0, 140.0)), unrealised=float(rng.normal(0.0, 50.0)),
            )
            for k in range(count)
        ),
    )  # fmt: skip


def mirrored(book: AccountBook) -> AccountBook:
    return replace(book, positions=tuple(replace(p, side=-p.side) for p in book.positions))


@given(seed=SEEDS, count=st.integers(1, 6), move=st.floats(-0.9, 2.0))
@settings(max_examples=40, deadline=None)
def test_stress_of_the_mirrored_book_is_minus_that_of_the_book(seed: int, count: int, move: float) -> None:
    book = held(seed, count)
    scenario = Scenario("x", "2020-01-01T00:00:00Z", 1.0, (("C0", move),))

    (one,), (two,) = stress(book, [scenario]), stress(mirrored(book), [scenario])

    assert one.pnl == pytest.approx(-two.pnl)
    assert one.pnl == pytest.approx(move * (book.long_notional - book.short_notional))


@given(seed=SEEDS, count=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_book_reading_is_the_same_mirrored_and_never_suggests_more(seed: int, count: int) -> None:
    book = held(seed, count)

    one, two = analyse_positions(book, {}), analyse_positions(mirrored(book), {})

    if isinstance(one.harmony, Harmony) and isinstance(two.harmony, Harmony):
        assert one.harmony.score == pytest.approx(two.harmony.score)
        assert 0.0 <= one.harmony.score <= 1.0
    balance = golden_balance(book)
    assert 0.0 <= balance.trim <= max(one.long, one.short)
    assert len(one.advice) <= 5


@given(seed=SEEDS, k=st.integers(2, 6), n=st.integers(30, 120))
@settings(max_examples=30, deadline=None)
def test_correlations_are_symmetric_bounded_and_definite(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, 1.0, (n, k)) @ rng.normal(0.0, 1.0, (k, k))

    made = correlate_returns(tuple(f"C{i}-USDT.P" for i in range(k)), returns)

    assert 0.0 <= made.shrinkage <= 1.0
    assert np.abs(made.shrunk).max() <= 1.0 + 1e-9
    np.testing.assert_allclose(made.shrunk, made.shrunk.T)
    assert np.linalg.eigvalsh(made.covariance).min() > -1e-9
    assert (np.abs(made.shrunk) <= np.abs(made.plain) + 1e-9).all()
    book = held(seed, k)
    together = correlated_notional(book, made, 0.7)
    assert together <= book.long_notional + book.short_notional + 1e-6
    assert together >= max(p.notional for p in book.positions) - 1e-6
    assert not math.isnan(together)
