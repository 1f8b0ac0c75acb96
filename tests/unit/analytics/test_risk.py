"""Risk: tails against closed forms, scenarios from recorded crashes, correlations against a reference, levels."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from omega.analytics.analyses._books import account_book
from omega.analytics.context import Books, Held
from omega.analytics.risk import (
    Scenario,
    assess,
    book_returns,
    coin_of,
    condition,
    cornish_fisher,
    correlate,
    correlate_returns,
    coverage,
    filtered,
    find_crashes,
    historical,
    kupiec,
    ledoit_wolf,
    scenarios,
    stress,
    tails,
)
from omega.analytics.risk.tails import METHODS, moving_variance
from omega.backtest.metrics import expected_shortfall, value_at_risk
from omega.engine import AccountBook, Bars, OpenPosition
from omega.engine.account import RiskLevel
from omega.errors import ConfigError

SHARED = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


def bars_of(returns: np.ndarray, length_ns: int = DAY_NS) -> Bars:
    close = 100.0 * np.exp(np.cumsum(returns))
    return Bars.of((np.arange(len(close)) + 1) * length_ns, close, close, close, close, np.ones(len(close)))


def position(symbol: str, side: int, notional: float, **changed: float) -> OpenPosition:
    made = OpenPosition("main", symbol, side, notional / 100.0, 100.0, 100.0, leverage=5.0)
    return replace(made, **changed)  # type: ignore[arg-type]


def book(*positions: OpenPosition, balance: float = 10_000.0) -> AccountBook:
    return AccountBook(balance, positions)


@pytest.mark.req("1.15")
def test_tails_of_normal_returns_are_the_closed_form_by_every_method() -> None:
    """VaR = -(m + s z), shortfall = -(m - s f(z)/a) for the normal law."""
    rng = np.random.default_rng(1)
    returns = rng.normal(0.001, 0.02, 20_000)
    z = NormalDist().inv_cdf(0.05)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)

    for made in tails(returns, rng):
        assert made.var == pytest.approx(-(0.001 + 0.02 * z), rel=0.12), made.method
        assert made.shortfall == pytest.approx(-(0.001 - 0.02 * density / 0.05), rel=0.12), made.method
        assert made.shortfall > made.var
    assert cornish_fisher(returns).var == pytest.approx(-(0.001 + 0.02 * z), rel=0.03)


def test_cornish_fisher_quantile_is_the_printed_expansion() -> None:
    """z' = z + (z^2 - 1)S/6 + (z^3 - 3z)K/24 - (2z^3 - 5z)S^2/36, written out term by term."""
    returns = np.random.default_rng(21).gamma(9.0, 0.01, 500)
    z, n = NormalDist().inv_cdf(0.05), len(returns)
    mean, off = float(returns.mean()), returns - returns.mean()
    second = float((off**2).sum()) / n
    skew, kurtosis = float((off**3).sum()) / n / second**1.5, float((off**4).sum()) / n / second**2 - 3.0
    terms = (z, (z**2 - 1) * skew / 6, (z**3 - 3 * z) * kurtosis / 24, -(2 * z**3 - 5 * z) * skew**2 / 36)

    made = cornish_fisher(returns)

    assert made.var == pytest.approx(-(mean + sum(terms) * math.sqrt(second * n / (n - 1))), rel=1e-12)
    assert abs(terms[3]) > 1e-3


def test_cornish_fisher_shortfall_is_the_mean_of_its_quantiles_over_the_tail() -> None:
    """The closed form equals the quantile integrated by steps."""
    rng = np.random.default_rng(2)
    returns = rng.gamma(9.0, 0.01, 2_000) - 0.09  # a skew of two thirds, within the range of the expansion

    made = cornish_fisher(-returns, 0.05)

    levels = (np.arange(2_000) + 0.5) / 2_000 * 0.05
    steps = [cornish_fisher(-returns, float(a)).var for a in levels]
    assert made.caveat == ""
    assert made.shortfall == pytest.approx(float(np.mean(steps)), rel=1e-3)


def test_cornish_fisher_beyond_its_range_says_so() -> None:
    rng = np.random.default_rng(3)
    wild = rng.standard_t(2.1, 3_000) * 0.01

    assert "beyond the range" in cornish_fisher(wild).caveat


def test_historical_tail_is_the_back_tests_own() -> None:
    returns = np.random.default_rng(4).normal(0.0, 0.02, 500)

    made = historical(returns)

    assert made.var == pytest.approx(value_at_risk(returns), rel=1e-9)
    assert made.shortfall == pytest.approx(expected_shortfall(returns), rel=1e-9)


def test_filtered_tail_follows_the_volatility_of_today() -> None:
    """After a calm month the figure is small, after a wild one large, though the past is the same."""
    rng = np.random.default_rng(5)
    calm, wild = rng.normal(0.0, 0.005, 500), rng.normal(0.0, 0.03, 500)

    now_wild = filtered(np.concatenate([calm, wild]), np.random.default_rng(0))
    now_calm = filtered(np.concatenate([wild, calm]), np.random.default_rng(0))

    assert now_wild.var > 3.0 * now_calm.var
    assert historical(np.concatenate([calm, wild])).var == historical(np.concatenate([wild, calm])).var


def test_tails_over_days_grow_with_the_root_of_time() -> None:
    returns = np.random.default_rng(6).normal(0.0, 0.01, 5_000)

    for method in (historical, cornish_fisher):
        assert method(returns, 0.05, 9).var == pytest.approx(3.0 * method(returns, 0.05, 1).var, rel=0.2)
    nine, one = (filtered(returns, np.random.default_rng(1), 0.05, h).var for h in (9, 1))
    assert nine == pytest.approx(3.0 * one, rel=0.2)


@pytest.mark.parametrize(
    ("returns", "tail", "horizon"),
    [(np.zeros(99), 0.05, 1), (np.zeros(500), 0.6, 1), (np.zeros(500), 0.05, 0), (np.full(500, np.nan), 0.05, 1)],
)
def test_tails_of_what_has_none_are_refused(returns: np.ndarray, tail: float, horizon: int) -> None:
    with pytest.raises(ConfigError):
        historical(returns, tail, horizon)


def test_moving_variance_knows_the_past_alone() -> None:
    returns = np.random.default_rng(7).normal(0.0, 0.02, 200)

    np.testing.assert_array_equal(moving_variance(returns)[:101], moving_variance(returns[:100]))


def test_coverage_holds_for_honest_returns_and_breaks_when_risk_trebles() -> None:
    rng = np.random.default_rng(8)
    steady = rng.normal(0.0, 0.02, 900)
    broken = np.concatenate([steady[:500], 3.0 * steady[500:]])

    assert all(coverage(steady, method, rng, window=500).holds for method in METHODS)
    assert not coverage(broken, "cornish_fisher", rng, window=500).holds
    assert coverage(broken, "filtered", rng, window=500).holds
    with pytest.raises(ConfigError, match="no method"):
        coverage(steady, "guess", rng)


@pytest.mark.parametrize(("observed", "p"), [(50, 1.0), (35, 0.0226), (75, 0.0008)])
def test_kupiec_test_has_its_printed_values(observed: int, p: float) -> None:
    """1,000 days at 5 %: fifty beyond are what was promised."""
    assert kupiec(observed, 1_000, 0.05) == pytest.approx(p, abs=2e-3)
    assert kupiec(0, 100, 0.05) < 0.01


def test_shrinkage_equals_that_of_another_library() -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(9)
    data = rng.normal(0.0, 1.0, (60, 8)) @ rng.normal(0.0, 1.0, (8, 8))
    centred = data - data.mean(axis=0)

    assert ledoit_wolf(centred) == pytest.approx(covariance.ledoit_wolf_shrinkage(centred, assume_centered=True))


def test_correlations_are_pulled_to_none_by_as_much_as_the_sample_is_short() -> None:
    rng = np.random.default_rng(10)
    common = rng.normal(0.0, 1.0, 4_000)
    returns = np.column_stack([common + rng.normal(0.0, 1.0, 4_000) for _ in range(3)])

    short, long = correlate_returns(("A", "B", "C"), returns[:40]), correlate_returns(("A", "B", "C"), returns)

    assert long.of("A", "B") == pytest.approx(0.5, abs=0.05)
    assert long.shrinkage < 0.01 < short.shrinkage
    assert np.linalg.eigvalsh(short.shrunk).min() > 0.0
    assert short.shrunk.diagonal().tolist() == [1.0] * 3


def test_correlation_is_taken_on_shared_bars_alone() -> None:
    moves = np.random.default_rng(11).normal(0.0, 0.01, 200)
    one = bars_of(moves)
    keep = np.arange(200) % 3 != 0
    other = Bars(*(getattr(one, name)[keep] for name in ("ts", "open", "high", "low", "close", "volume")))

    made = correlate({"A": one, "B": other})

    assert made.plain[0, 1] == pytest.approx(1.0)
    assert made.n == int(keep.sum()) - 1
    with pytest.raises(ConfigError, match="too few"):
        correlate({"A": one.prefix(20), "B": other})
    with pytest.raises(ConfigError, match="B never moved"):
        correlate_returns(("A", "B"), np.column_stack([moves, np.zeros(200)]))


def test_crashes_are_the_worst_stretches_that_share_no_bar() -> None:
    moves = np.full(200, 0.001)
    moves[50:53], moves[120], moves[150] = -0.1, -0.2, 0.25

    found = find_crashes(bars_of(moves, HOUR_NS), HOUR_NS, hours=4.0, count=5)

    assert [(c.first, c.last) for c in found] == [(49, 52), (119, 120)]
    assert found[0].move == pytest.approx(math.exp(-0.3) - 1.0)
    (surge,) = find_crashes(bars_of(moves, HOUR_NS), HOUR_NS, hours=4.0, count=1, up=True)
    assert surge.first < 150 <= surge.last


def test_scenarios_carried_are_the_recorded_crashes() -> None:
    """The black Thursday of March 2020 is there, and recent ones know the other coins."""
    known = {s.name: s for s in scenarios()}

    assert known["crash of 2020-03-12"].move_of("BTC") == pytest.approx(-0.4645)
    assert set(dict(known["crash of 2024-08-04"].moves)) == {"BTC", "ETH", "SOL", "XRP", "ADA"}
    assert {name.partition(" ")[0] for name in known} == {"crash", "slide", "surge"}


def test_scenarios_are_found_again_in_the_record() -> None:
    """The carried figures are those of the recorded candles."""
    if not (SHARED / "ohlcv").is_dir():
        pytest.skip(f"recorded candles are absent: {SHARED}/ohlcv (set OMEGA_SHARED_DATA to the folder that holds it)")
    from omega.domain.time import from_iso
    from omega.storage.lake import open_candles

    bars = open_candles(SHARED / "ohlcv" / "BTCUSDT-1h.parquet").read()

    for scenario in scenarios():
        first = int(np.searchsorted(bars.ts, from_iso(scenario.begun) - HOUR_NS))
        end = from_iso(scenario.begun) - HOUR_NS + round(scenario.hours * HOUR_NS)
        last = int(np.searchsorted(bars.ts, end))
        assert bars.close[last] / bars.close[first] - 1.0 == pytest.approx(dict(scenario.moves)["BTC"], abs=6e-5)


def test_stress_moves_marks_and_names_what_is_liquidated() -> None:
    fall = Scenario("fall", "2020-01-01T00:00:00Z", 24.0, (("BTC", -0.4), ("ETH", -0.2)))
    held = book(
        position("BTC-USDT.P", 1, 5_000.0, liquidation=70.0),
        position("ETH-USDT.P", -1, 2_000.0, liquidation=150.0),
        position("DOGE-USDT.P", 1, 1_000.0),
    )

    (made,) = stress(held, [fall])

    assert made.pnl == pytest.approx(-0.4 * 5_000 + 0.2 * 2_000 - 0.3 * 1_000)
    assert made.equity_after == pytest.approx(10_000 + made.pnl)
    assert made.loss == pytest.approx(-made.pnl / 10_000)
    assert made.liquidated == ("BTC-USDT.P long",)
    assert made.assumed == ("DOGE",)


@pytest.mark.parametrize(
    ("symbol", "coin"),
    [("BTC-USDT.P", "BTC"), ("ETH/USDT:USDT", "ETH"), ("SOLUSDT", "SOL"), ("BTCUSDT_PERP", "BTC"), ("USDT", "USDT")],
)
def test_coin_of_a_symbol(symbol: str, coin: str) -> None:
    assert coin_of(symbol) == coin


def markets() -> dict[str, Bars]:
    rng = np.random.default_rng(12)
    common = rng.normal(0.0, 0.02, 400)
    return {
        "BTC-USDT.P": bars_of(common),
        "ETH-USDT.P": bars_of(common + rng.normal(0.0, 0.005, 400)),
        "XAU-USDT.P": bars_of(rng.normal(0.0, 0.01, 400)),
    }


@pytest.mark.req("1.19")
def test_assessment_adds_up_and_counts_what_moves_together() -> None:
    held = book(
        position("BTC-USDT.P", 1, 3_000.0), position("ETH-USDT.P", 1, 2_000.0), position("XAU-USDT.P", -1, 1_000.0)
    )

    made = assess(held, markets(), DAY_NS, np.random.default_rng(0))

    assert (made.gross, made.net, made.long, made.short) == (6_000.0, 4_000.0, 5_000.0, 1_000.0)
    assert made.leverage == pytest.approx(0.6)
    assert (made.largest_coin, made.concentration) == ("BTC", pytest.approx(0.3))
    assert made.margin == pytest.approx(0.12)
    assert made.correlated == pytest.approx(5_000.0)
    assert [t.method for t in made.tails] == ["historical", "cornish_fisher", "filtered"]
    assert made.caveats == ("stops are not known",)


def test_assessment_of_a_hedge_moves_against_itself() -> None:
    """Long one and short its twin: together they are worth the larger side, and the tail is small."""
    hedged = book(position("BTC-USDT.P", 1, 3_000.0), position("ETH-USDT.P", -1, 3_000.0))
    naked = book(position("BTC-USDT.P", 1, 3_000.0), position("ETH-USDT.P", 1, 3_000.0))

    one, two = (assess(b, markets(), DAY_NS, np.random.default_rng(0)) for b in (hedged, naked))

    assert (one.correlated, two.correlated) == (3_000.0, 6_000.0)
    assert one.tails[0].var < 0.3 * two.tails[0].var
    np.testing.assert_allclose(
        book_returns(naked, markets()),
        0.3 * (np.expm1(np.diff(np.log(markets()["BTC-USDT.P"].close))))
        + 0.3 * (np.expm1(np.diff(np.log(markets()["ETH-USDT.P"].close)))),
    )


@pytest.mark.parametrize(("side", "together"), [(1, 3_000.0), (-1, 5_000.0)])
def test_assessment_of_markets_that_move_against_each_other(side: int, together: float) -> None:
    """Long a market and short its mirror is the same bet twice; long both is a hedge."""
    moves = np.random.default_rng(15).normal(0.0, 0.02, 300)
    mirrored = {"A-USDT.P": bars_of(moves), "B-USDT.P": bars_of(-moves)}
    held = book(position("A-USDT.P", 1, 3_000.0), position("B-USDT.P", side, 2_000.0))

    made = assess(held, mirrored, DAY_NS, np.random.default_rng(0))

    assert made.correlated == pytest.approx(together)


@pytest.mark.req("1.19")
@pytest.mark.parametrize(
    ("held", "stops", "measure", "level"),
    [
        (book(position("BTC-USDT.P", 1, 500.0)), {("main", "BTC-USDT.P", 1): 95.0}, None, RiskLevel.LOW),
        (book(position("BTC-USDT.P", 1, 500.0)), {}, "no_stop", RiskLevel.HIGH),
        (book(position("BTC-USDT.P", 1, 500.0, liquidation=93.0)), None, "liquidation_distance", RiskLevel.MEDIUM),
        (book(position("BTC-USDT.P", 1, 500.0, liquidation=97.0)), None, "liquidation_distance", RiskLevel.HIGH),
        (book(position("BTC-USDT.P", 1, 9_000.0)), None, "leverage", RiskLevel.MEDIUM),
        (book(position("BTC-USDT.P", 1, 30_000.0)), None, "leverage", RiskLevel.HIGH),
        (book(position("BTC-USDT.P", 1, 500.0), balance=0.0), None, "equity", RiskLevel.HIGH),
    ],
)
def test_assessment_levels_are_all_reached(
    held: AccountBook, stops: dict[tuple[str, str, int], float] | None, measure: str | None, level: RiskLevel
) -> None:
    made = assess(held, markets(), DAY_NS, np.random.default_rng(0), stops=stops)

    if measure is None:
        assert made.reasons == ()
        assert made.level is level
        assert made.positions[0].stop_distance == pytest.approx(0.05)
        assert made.positions[0].at_risk == pytest.approx(0.05 * 500.0 / 10_000.0)
    else:
        assert level in {r.level for r in made.reasons if r.measure == measure}
        assert made.level is max((r.level for r in made.reasons), key=list(RiskLevel).index)


def test_assessment_of_an_empty_book_and_of_unknown_markets_says_what_it_lacks() -> None:
    empty = assess(book(), {}, DAY_NS, np.random.default_rng(0))
    blind = assess(book(position("BTC-USDT.P", 1, 500.0)), {}, DAY_NS, np.random.default_rng(0))

    assert (empty.level, empty.gross, empty.tails, empty.stressed) == (RiskLevel.LOW, 0.0, (), ())
    assert any("no bars of BTC-USDT.P" in caveat for caveat in blind.caveats)
    assert blind.positions[0].daily_volatility is None


def test_condition_tells_a_calm_rise_from_a_wild_fall() -> None:
    rng = np.random.default_rng(13)
    rise = bars_of(np.full(400, 0.002) + rng.normal(0.0, 0.002, 400))
    fall = bars_of(np.concatenate([rng.normal(0.0, 0.002, 350), rng.normal(-0.01, 0.05, 50)]))

    calm, wild = condition(rise, DAY_NS), condition(fall, DAY_NS)

    assert (calm.trend, calm.level, calm.state) == ("up", RiskLevel.LOW, "LOW")
    assert (wild.level, wild.quantile > 0.9, wild.drawdown > 0.2) == (RiskLevel.HIGH, True, True)
    assert dict(wild.states)["wild"] > 0.5
    assert calm.hurst is not None
    assert wild.annual_volatility == pytest.approx(wild.volatility * math.sqrt(365.0))


def test_condition_of_few_bars_says_what_it_cannot_tell() -> None:
    made = condition(bars_of(np.random.default_rng(14).normal(0.0, 0.01, 30)), HOUR_NS)

    assert (made.hurst, made.states, made.support) == (None, (), None)
    with pytest.raises(ConfigError, match="21 or more"):
        condition(bars_of(np.zeros(20)), HOUR_NS)


@pytest.mark.req("1.19")
def test_missing_stop_of_one_bot_is_told_beside_the_stop_of_another_in_the_same_symbol() -> None:
    """The stop of one bot protects its own part alone; the loss at the stop is not known then."""
    held = (
        Held("main", "fib", "BTC-USDT.P", 3.0, 100.0, 100.0, 95.0),
        Held("main", "trend", "BTC-USDT.P", 2.0, 100.0, 100.0),
    )

    account, stops, bare = account_book(Books(10_000.0, held))
    made = assess(account, markets(), DAY_NS, np.random.default_rng(0), stops=stops, unstopped=bare)

    assert bare == {("main", "BTC-USDT.P", 1): 200.0}
    assert [(r.level, r.value) for r in made.reasons if r.measure == "no_stop"] == [(RiskLevel.HIGH, 200.0)]
    assert made.positions[0].stop_distance == pytest.approx(0.05)
    assert made.positions[0].at_risk is None
