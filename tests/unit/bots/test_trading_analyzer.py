"""Trend, volatility, regime, levels and risk of the market by their rules, edges included."""

import numpy as np
import pytest

from bots.trading_analyzer import (
    Params,
    regime,
    report,
    risk_factor,
    support_resistance,
    trend,
    trend_strength,
    volatility,
    volatility_state,
)
from omega.engine import Bars, Book


def ramp(n: int, step: float) -> np.ndarray:
    return 100.0 * (1.0 + step) ** np.arange(n)


def bars_of(closes: np.ndarray) -> Bars:
    return Bars.of(
        np.arange(1, closes.shape[0] + 1), closes, closes * 1.001, closes * 0.999, closes, np.ones_like(closes)
    )


@pytest.mark.parametrize(
    ("closes", "word"),
    [(ramp(20, 0.003), "up"), (ramp(20, -0.003), "down"), (ramp(20, 0.0004), "sideways"), (ramp(19, 0.01), "sideways")],
)
def test_trend_by_average_and_change(closes: np.ndarray, word: str):
    assert trend(closes, 20) == word


def test_trend_needs_both_the_average_and_the_change():
    closes = np.concatenate(([103.0], np.full(18, 100.0), [102.0]))

    assert trend(closes, 20) == "sideways"


def test_volatility_is_of_log_returns_and_free_of_the_price():
    closes = 100.0 * np.exp(np.cumsum(np.tile([0.01, -0.01], 20)))

    assert volatility(closes, 20) == pytest.approx(0.01)
    assert volatility(closes * 700.0, 20) == pytest.approx(0.01)
    assert volatility(closes[:1], 20) == 0.0


@pytest.mark.parametrize(
    ("sigma", "word"),
    [(0.0, "LOW"), (0.0199, "LOW"), (0.02, "MEDIUM"), (0.04, "HIGH"), (0.0799, "HIGH"), (0.08, "EXTREME")],
)
def test_volatility_state_bounds_are_half_open(sigma: float, word: str):
    assert volatility_state(sigma) == word


@pytest.mark.parametrize(
    ("closes", "word"),
    [
        (ramp(30, 0.003), "bullish"),
        (ramp(30, -0.003), "bearish"),
        (ramp(30, 0.01), "bullish_volatile"),
        (ramp(30, -0.01), "bearish_volatile"),
        (np.concatenate((ramp(20, 0.01), 130.0 * 0.99 ** np.arange(10))), "bullish_correction"),
        (np.concatenate((ramp(20, -0.01), 77.0 * 1.01 ** np.arange(10))), "bearish_bounce"),
        (np.full(30, 100.0), "neutral"),
        (100.0 + 3.0 * np.r_[np.tile([1.0, -1.0], 14), 0.0, 0.0], "neutral_volatile"),
        (np.full(29, 100.0), "not_ready"),
    ],
)
def test_regime_of_short_and_long_trend(closes: np.ndarray, word: str):
    assert regime(closes) == word


def test_trend_strength_is_signed_and_bounded():
    assert trend_strength(np.arange(1.0, 21.0)) == pytest.approx(1.0)
    assert trend_strength(np.arange(20.0, 0.0, -1.0)) == pytest.approx(-1.0)
    assert trend_strength(np.full(20, 5.0)) == 0.0
    assert trend_strength(np.array([5.0])) == 0.0


def test_support_and_resistance_need_their_fifty_bars():
    assert support_resistance(bars_of(ramp(49, 0.001))) is None
    found = support_resistance(bars_of(ramp(60, 0.001)))
    assert found is not None
    assert found[0] == pytest.approx(ramp(60, 0.001)[10] * 0.999)


@pytest.mark.parametrize(
    ("direction", "sigma", "factor"),
    [("up", 0.01, 0.6), ("down", 0.01, 0.4), ("sideways", 0.03, 0.4), ("down", 0.03, 0.3)],
)
def test_risk_factor_moves_by_trend_and_volatility(direction: str, sigma: float, factor: float):
    assert risk_factor(direction, sigma) == pytest.approx(factor)


def test_report_short_history_says_not_ready_instead_of_guessing():
    made = report(bars_of(ramp(10, 0.001)), Book.flat(0.0), Params())

    assert made["regime"] == "not_ready"
    assert str(made["support"]).startswith("not ready: 10 of 50")
    assert made["confidence"] == 0.5
    assert "resistance" not in made
