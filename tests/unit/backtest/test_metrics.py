"""Every figure against a second way of computing it, by hand on small curves and naively on long ones."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from omega.backtest.metrics import (
    as_json,
    daily_returns,
    drawdown,
    effect,
    expected_shortfall,
    growth,
    holding,
    metrics,
    probabilistic_sharpe,
    round_trips,
    scan,
    sharpe_probability,
    value_at_risk,
)
from omega.backtest.report.words import WORDS
from omega.backtest.types import Market

from .made_results import DAY_NS, HOUR_NS, MINUTE_NS, START_NS, bars_of, market_of, result_of, traded, walk

pytestmark = pytest.mark.req("1.15")


# ---- by hand


def test_metrics_of_a_curve_by_hand_are_right() -> None:
    """100 -> 110 -> 99 -> 121: one drawdown of a tenth that lasts two hours."""
    found = metrics(result_of([110.0, 99.0, 121.0]))

    assert found["roi"] == pytest.approx(0.21)
    assert found["pnl"] == pytest.approx(21.0)
    assert found["max_drawdown"] == pytest.approx(0.1)
    assert found["max_drawdown_days"] == pytest.approx(2 / 24)
    assert found["underwater_days"] == pytest.approx(2 / 24)
    assert found["ulcer"] == pytest.approx(math.sqrt(0.1**2 / 3))
    assert found["days"] == pytest.approx(3 / 24)
    assert found["omega"] == pytest.approx((0.1 + 22 / 99) / 0.1)
    assert found["cagr"] == pytest.approx(1.21 ** (365 * 24 / 3) - 1)
    assert found["calmar"] == pytest.approx(found["cagr"] / 0.1)


def test_metrics_annual_ratios_equal_their_textbook_formulas() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.0, -0.01, 0.02])
    equity = 100.0 * np.cumprod(1.0 + returns)
    year = 365 * 24

    found = metrics(result_of(equity))

    assert found["volatility"] == pytest.approx(returns.std(ddof=1) * math.sqrt(year))
    assert found["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(year))
    downside = math.sqrt((np.minimum(returns, 0.0) ** 2).mean())
    assert found["sortino"] == pytest.approx(returns.mean() / downside * math.sqrt(year))


def test_metrics_of_trades_by_hand_count_legs_as_one_round_trip() -> None:
    """Two legs of +30 and -10 are one win of 20; beside it a loss of 5 and a loss of 10."""
    trips = [
        {"position": 0, "leg": 0, "pnl": 30.0, "entry_row": 0, "exit_row": 1, "mfe": 0.3},
        {"position": 0, "leg": 1, "pnl": -10.0, "entry_row": 0, "exit_row": 3, "mae": -0.1, "mfe": 0.3},
        {"position": 1, "pnl": -5.0, "entry_row": 2, "exit_row": 4},
        {"position": 2, "pnl": -10.0, "entry_row": 4, "exit_row": 5, "mae": -0.2},
    ]

    found = metrics(result_of([100.0, 110.0, 110.0, 105.0, 100.0, 105.0], trades=trips))

    assert (found["trades"], found["legs"], found["wins"]) == (3, 4, 1)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert found["profit_factor"] == pytest.approx(20 / 15)
    assert found["payoff"] == pytest.approx(20 / 7.5)
    assert found["expectancy"] == pytest.approx(5 / 3)
    assert found["trade_return"] == pytest.approx((20 / 200 - 5 / 100 - 10 / 100) / 3)
    assert found["losing_streak"] == 2
    assert found["trade_bars"] == pytest.approx((3 + 2 + 1) / 3)
    assert found["best_trade"] == pytest.approx(20 / 100)
    assert found["worst_trade"] == pytest.approx(-10 / 100)
    assert found["mae_worst"] == pytest.approx(-0.2)
    assert found["mae_mean"] == pytest.approx(-0.075)
    assert found["mfe_best"] == pytest.approx(0.3)
    assert found["trades_per_day"] == pytest.approx(3 / (6 / 24))


def test_metrics_of_costs_tell_what_the_price_alone_brought() -> None:
    found = metrics(result_of([100.0, 120.0], fees=12.0, funding=-2.0, turnover=440.0))

    assert found["gross_pnl"] == pytest.approx(20 + 12 + 2)
    assert found["fee_share"] == pytest.approx(12 / 34)
    assert found["turnover_per_year"] == pytest.approx(440 / 110 * 365 * 12)


def test_metrics_exposure_and_leverage_count_bars_in_the_market_alone() -> None:
    found = metrics(result_of([100.0] * 4, held=[0.0, 0.5, -1.5, 0.0]))

    assert found["exposure"] == pytest.approx(0.5)
    assert found["mean_leverage"] == pytest.approx(1.0)


def test_metrics_final_equity_is_what_the_result_says_after_the_last_close() -> None:
    """A position closed at the end pays its fee after the curve's last mark."""
    found = metrics(result_of([100.0, 110.0], final_equity=109.9))

    assert (found["final_equity"], found["roi"]) == (pytest.approx(109.9), pytest.approx(0.099))


# ---- what is not defined


@pytest.mark.parametrize(
    ("equity", "undefined"),
    [
        ([], {"sharpe", "roi", "max_drawdown", "exposure", "volatility", "cagr", "var_95"}),
        ([100.0], {"sharpe", "sortino", "volatility", "omega", "calmar", "probabilistic_sharpe", "var_95"}),
        ([100.0] * 50, {"sharpe", "sortino", "omega", "calmar", "probabilistic_sharpe"}),
        (list(100.0 * 1.001 ** np.arange(1, 60)), {"sharpe", "sortino", "omega", "calmar"}),
    ],
    ids=["no bar", "one bar", "no movement", "no variance"],
)
def test_metrics_undefined_figures_are_null_and_never_made_up(equity: list[float], undefined: set[str]) -> None:
    found = as_json(metrics(result_of(equity)))

    assert {name for name in undefined if found[name] is not None} == set()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_metrics_without_trades_has_no_rates_but_counts_zero() -> None:
    found = as_json(metrics(result_of([100.0, 101.0])))

    assert (found["trades"], found["legs"], found["wins"]) == (0, 0, 0)
    assert found["win_rate"] is found["profit_factor"] is found["payoff"] is found["expectancy"] is None
    assert found["mae_mean"] is found["best_trade"] is None


def test_metrics_of_a_ruined_account_end_at_minus_one() -> None:
    """Equity at or below zero is gone: nothing that follows brings it back."""
    found = metrics(result_of([50.0, 0.0, -20.0, 30.0], final_equity=0.0))

    assert (found["roi"], found["cagr"], found["max_drawdown"]) == (-1.0, -1.0, 1.0)
    assert found["ulcer"] == pytest.approx(math.sqrt((0.25 + 3) / 4))
    assert found["underwater_days"] == pytest.approx(4 / 24)
    assert math.isfinite(found["sharpe"])


def test_growth_beyond_what_a_float_holds_is_undefined() -> None:
    assert math.isnan(growth(1.0, 1e6, 1e-6))


# ---- drawdowns in time


def test_drawdown_duration_follows_the_clock_over_gaps() -> None:
    """Two bars, a gap of ten hours, recovery: the drawdown lasted eleven hours, not two bars."""
    ts = START_NS + np.array([0, 1, 11, 12]) * HOUR_NS

    found = metrics(result_of([110.0, 100.0, 110.0, 111.0], ts=ts))

    assert found["max_drawdown_days"] == pytest.approx(11 / 24)


def test_drawdown_that_never_recovers_lasts_to_the_end() -> None:
    found = metrics(result_of([110.0, 100.0, 105.0, 104.0]))

    assert found["max_drawdown_days"] == pytest.approx(3 / 24)


def test_drawdown_deepest_and_longest_may_be_two() -> None:
    """A short fall of a fifth, then five hours a little under water."""
    found = metrics(result_of([80.0, 100.0, 101.0, 99.0, 99.0, 99.0, 99.0, 101.5]))

    assert found["max_drawdown"] == pytest.approx(0.2)
    assert found["max_drawdown_days"] == pytest.approx(2 / 24)
    assert found["underwater_days"] == pytest.approx(5 / 24)


def test_drawdown_begins_from_the_capital() -> None:
    assert drawdown(np.array([90.0, 120.0, 60.0]), 100.0) == pytest.approx([0.1, 0.0, 0.5])


# ---- days and tails


def test_daily_returns_go_from_close_to_close_of_utc_days() -> None:
    ts = START_NS + np.array([22, 23, 24, 47, 100]) * HOUR_NS

    found = daily_returns(ts, np.array([101.0, 110.0, 90.0, 99.0, 198.0]), 100.0)

    assert found == pytest.approx([0.1, -0.1, 1.0])


def test_daily_returns_of_daily_bars_are_the_returns_of_the_bars() -> None:
    ts = START_NS + np.arange(4) * DAY_NS

    assert daily_returns(ts, np.array([110.0, 99.0, 99.0, 198.0]), 100.0) == pytest.approx([0.1, -0.1, 0.0, 1.0])


def test_tail_risk_is_the_quantile_and_the_mean_beyond_it() -> None:
    returns = np.arange(-50, 50) / 1000.0

    assert value_at_risk(returns) == pytest.approx(-np.quantile(returns, 0.05))
    assert expected_shortfall(returns) == pytest.approx(0.048)


def test_tail_risk_of_fewer_than_twenty_days_is_undefined() -> None:
    assert math.isnan(value_at_risk(np.zeros(19)))
    assert math.isnan(expected_shortfall(np.zeros(19)))


# ---- probabilistic Sharpe ratio


@pytest.mark.parametrize(("skew", "kurtosis", "expected"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
def test_sharpe_probability_equals_the_worked_example_of_its_paper(
    skew: float, kurtosis: float, expected: float
) -> None:
    """Two years of monthly returns with a ratio of 0.458 a month."""
    assert sharpe_probability(0.458, 24, skew=skew, kurtosis=kurtosis) == pytest.approx(expected, abs=5e-4)


def test_probabilistic_sharpe_of_returns_uses_their_own_moments() -> None:
    returns = np.random.default_rng(3).gamma(2.0, 0.01, 400) - 0.018
    off = returns - returns.mean()
    second = (off**2).mean()
    skew, kurtosis = (off**3).mean() / second**1.5, (off**4).mean() / second**2

    expected = sharpe_probability(returns.mean() / returns.std(ddof=1), 400, skew=skew, kurtosis=kurtosis)

    assert probabilistic_sharpe(returns) == pytest.approx(expected)
    assert probabilistic_sharpe(returns, benchmark=1.0) < 0.01


# ---- long curves


@pytest.mark.parametrize("n", [1, 2, 8_191, 8_192, 8_193, 3 * 8_192 + 17])
def test_scan_in_blocks_equals_a_plain_computation(n: int) -> None:
    equity = 100.0 * np.exp(np.cumsum(np.random.default_rng(n).normal(1e-5, 1e-3, n)))
    returns = equity / np.concatenate(([100.0], equity[:-1])) - 1.0
    peak = np.maximum(np.maximum.accumulate(equity), 100.0)

    sums, under = scan(equity, 100.0)

    assert sums.total == pytest.approx(returns.sum(), rel=1e-10, abs=1e-13)
    assert sums.squares == pytest.approx((returns**2).sum(), rel=1e-12)
    assert sums.losses == pytest.approx(np.minimum(returns, 0.0).sum(), rel=1e-12)
    assert sums.downside_squares == pytest.approx((np.minimum(returns, 0.0) ** 2).sum(), rel=1e-12)
    assert sums.max_drawdown == pytest.approx((1.0 - equity / peak).max(), rel=1e-12, abs=1e-15)
    assert sums.drawdown_squares == pytest.approx(((1.0 - equity / peak) ** 2).sum(), rel=1e-10, abs=1e-20)
    assert np.array_equal(under, equity < peak)


def test_round_trips_conserve_profit_and_find_the_last_exit() -> None:
    result, _ = traded(900)
    pnl, notional, entry, exit_ = round_trips(result.trades)

    assert pnl.sum() == pytest.approx(result.final_equity - result.capital)
    assert (notional > 0.0).all()
    assert (exit_ >= entry).all()


def test_effect_is_the_profit_of_the_equity_at_the_entry() -> None:
    result = result_of([200.0, 100.0, 50.0], trades=[{"pnl": 10.0, "entry_row": 1, "exit_row": 2}])

    assert effect(result) == pytest.approx([0.1])


# ---- holding


def test_holding_one_market_follows_its_closes() -> None:
    market = market_of(walk(50))
    result = result_of(np.full(50, 100.0), timeframe_ns=MINUTE_NS)

    held = holding([market], result)

    assert held == pytest.approx(100.0 * market.bars.close / market.bars.open[0])
    assert metrics(result, held)["hold_roi"] == pytest.approx(market.bars.close[-1] / market.bars.open[0] - 1.0)


def test_holding_two_markets_shares_equally_and_waits_for_the_later_one() -> None:
    whole = bars_of(walk(40))
    early, late = Market("A", whole, MINUTE_NS), Market("B", bars_of(walk(40, 2)).since(20), MINUTE_NS)

    held = holding([early, late], result_of(np.full(40, 100.0), timeframe_ns=MINUTE_NS))

    assert held[10] == pytest.approx(50.0 * whole.close[10] / whole.open[0] + 50.0)
    expected = 50.0 * whole.close[30] / whole.open[0] + 50.0 * late.bars.close[10] / late.bars.open[0]
    assert held[30] == pytest.approx(expected)


def test_metrics_of_holding_itself_show_no_difference() -> None:
    market = market_of(walk(6_000))
    result = result_of(100.0 * market.bars.close / market.bars.open[0], timeframe_ns=MINUTE_NS)

    found = metrics(result, holding([market], result))

    assert found["excess_roi"] == pytest.approx(0.0, abs=1e-12)
    assert (found["beta"], found["correlation"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found["hold_sharpe"] == pytest.approx(found["sharpe"])


# ---- all of them


def test_metrics_every_figure_has_words_and_a_unit() -> None:
    """The report shows every figure; only the lengths of the history need no words of their own."""
    result, markets = traded(3_000)

    found = metrics(result, holding(markets, result))

    assert set(found) - set(WORDS) == {"bars", "days", "years", "wins"}
    assert set(WORDS) - set(found) == set()
    assert all(type(value) is float for value in found.values())
