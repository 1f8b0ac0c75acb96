"""Forecasts: features without a future, models that learn what is there and nothing where nothing is, honest scores."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from omega.analytics.evidence import COLUMNS, FILE, Verdict, read_evidence
from omega.analytics.forecast import (
    BOOSTING,
    DRIFT,
    MODELS,
    NO_CHANGE,
    Direction,
    Ground,
    Plan,
    design,
    fit_regimes,
    folds,
    forecast,
    gain,
    hurst,
    model_of,
    outcomes,
    reliability,
    score,
    walk,
)
from omega.analytics.forecast.features import WARMUP
from omega.analytics.forecast.logistic import fit_logistic, fit_platt, logit, sigmoid
from omega.analytics.forecast.measure import (
    RELIABILITY,
    Record,
    as_evidence,
    measure_timeframe,
    read_records,
    records_of,
    write_tables,
)
from omega.analytics.forecast.models import calibration_split
from omega.engine import Bars
from omega.errors import ConfigError, CorruptData

HOUR_NS = 3_600_000_000_000
SIMPLE = [name for name in MODELS if name != BOOSTING]


def bars_of(returns: np.ndarray) -> Bars:
    close = 100.0 * np.exp(np.cumsum(returns))
    open_ = np.concatenate(([100.0], close[:-1]))
    ts = (np.arange(len(close)) + 1) * HOUR_NS
    spread = 1.0 + 0.2 * np.abs(returns)
    high, low = np.maximum(open_, close) * spread, np.minimum(open_, close) / spread
    return Bars.of(ts, open_, high, low, close, 1.0 + np.abs(returns) * 1_000.0)


def noise(n: int = 1_400, seed: int = 3) -> Bars:
    return bars_of(np.random.default_rng(seed).normal(0.0, 0.01, n))


def reverting(n: int = 1_400, seed: int = 4) -> Bars:
    """Every move is half undone by the next: a market that can be forecast."""
    rng = np.random.default_rng(seed)
    moves = np.zeros(n)
    for k in range(1, n):
        moves[k] = -0.5 * moves[k - 1] + rng.normal(0.0, 0.01)
    return bars_of(moves)


@pytest.mark.req("1.18")
def test_features_of_a_prefix_are_the_prefix_of_the_features() -> None:
    bars = noise(700)

    whole = design(bars)
    for cut in (WARMUP + 1, 400, 699):
        part = design(bars.prefix(cut))
        assert part.names == whole.names
        np.testing.assert_allclose(part.values, whole.values[:cut], rtol=1e-9, atol=1e-9)
    assert np.isfinite(whole.values).all()


def test_features_of_too_short_a_history_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"more than {WARMUP}"):
        design(noise(WARMUP))


def test_outcomes_know_nothing_over_gaps_ends_and_ties() -> None:
    bars = noise(20)
    gap = Bars.of(
        np.where(np.arange(20) >= 10, bars.ts + HOUR_NS, bars.ts),
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        bars.volume,
    )

    up, known = outcomes(gap, 2, HOUR_NS)

    assert np.flatnonzero(~known).tolist() == [8, 9, 18, 19]
    assert up[0] == float(bars.close[2] > bars.close[0])
    flat = Bars.of(bars.ts, *(np.ones(20),) * 5)
    assert not outcomes(flat, 1, HOUR_NS)[1].any()


def test_walk_forward_trains_only_on_outcomes_known_before_its_stretch() -> None:
    """The newest training outcome lies a purge and an embargo before the first row tested."""
    plan = Plan(horizon=5, train=300, step=100, embargo=7)
    ground = Ground.of(noise(1_000), HOUR_NS, plan)

    for start, end in folds(ground.known, plan):
        task = ground.task(start, seed=0)
        assert task.rows[-1] + plan.horizon + plan.embargo < start + 1
        assert task.rows[0] >= WARMUP
        assert len(task.rows) <= plan.train
        assert end - start <= plan.step


def test_calibration_sees_no_outcome_that_the_model_was_fitted_on() -> None:
    ground = Ground.of(noise(900), HOUR_NS, Plan(horizon=10, train=500, step=100))
    task = ground.task(900, seed=0)

    fitted_on, held_out = calibration_split(task)

    assert fitted_on[-1] + task.horizon < held_out[0]
    assert len(held_out) == len(task.rows) // 5
    assert len(fitted_on) == len(task.rows) - len(held_out) - task.horizon


@pytest.mark.parametrize("name", SIMPLE)
def test_walk_forward_changing_the_future_changes_no_earlier_forecast(name: str) -> None:
    """Whatever happens after a bar, what was forecast at and before it stays."""
    bars, plan = noise(900), Plan(horizon=3, train=300, step=150, embargo=3)
    cut = 700
    close = np.where(np.arange(900) >= cut, bars.close * 1.5, bars.close)
    high, low = np.maximum(bars.high, close), np.minimum(bars.low, close)
    other = replace(bars, close=close, high=high, low=low)

    one, two = (walk(Ground.of(b, HOUR_NS, plan), MODELS[name]) for b in (bars, other))

    before = one.rows < cut
    np.testing.assert_allclose(one.probability[before], two.probability[two.rows < cut], rtol=1e-9)


@pytest.mark.parametrize("name", ["linear", BOOSTING])
def test_models_learn_a_market_that_reverts(name: str) -> None:
    made = forecast(reverting(), HOUR_NS, horizon=1, model=name, folds=3)

    assert made.score.accuracy > 0.58
    assert made.beats_no_change
    assert made.score.log_loss < made.no_change.log_loss == pytest.approx(math.log(2.0))
    assert made.until_ns - made.as_of_ns == HOUR_NS
    assert made.mean_return > 0.001
    assert "beats no change" in made.sentence()


@pytest.mark.parametrize("name", list(MODELS))
def test_models_find_nothing_in_noise(name: str) -> None:
    """On a random walk no model beats no change, none is far from it either, and none calls a direction."""
    made = forecast(noise(), HOUR_NS, horizon=4, model=name, folds=3)

    assert not made.beats_no_change
    assert made.direction is Direction.NO_CALL
    assert abs(made.probability_up - 0.5) < 0.15
    assert made.score.log_loss < math.log(2.0) + 0.06
    assert "does not beat no change" in made.sentence()


def test_forecast_is_repeatable() -> None:
    one, two = (forecast(noise(), HOUR_NS, horizon=2, folds=2, seed=5) for _ in range(2))

    assert one == two


def test_forecast_of_too_few_bars_and_of_no_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer history"):
        forecast(noise(WARMUP + 60), HOUR_NS, model=DRIFT)
    with pytest.raises(ConfigError, match="no forecast model 'boosted'"):
        model_of("boosted")


@pytest.mark.parametrize(("dataset", "found"), [("ETHUSDT", "ETHUSDT"), ("DOGEUSDT", "all")])
def test_forecast_carries_the_measured_row_of_its_market_or_of_all(dataset: str, found: str) -> None:
    made = forecast(noise(), HOUR_NS, horizon=24, model="linear", folds=1, dataset=dataset, timeframe="1h")

    assert (made.evidence.dataset, made.evidence.measure, made.evidence.verdict) == (found, "h24", Verdict.NOT)


def test_boosting_on_a_horizon_that_leaves_nothing_to_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter horizon"):
        forecast(noise(1_100), HOUR_NS, horizon=200)


def test_boosting_without_its_package_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from omega.analytics.forecast.models import _classifier\n"
        "from omega.errors import EnvironmentFault\n"
        "try:\n    _classifier(100, 0)\nexcept EnvironmentFault as error:\n    print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)

    assert "omega-bot-farm[analytics]" in done.stdout


def test_scores_of_the_known_cases() -> None:
    up = np.array([1.0, 0.0, 1.0, 1.0])

    even, sure = score(np.full(4, 0.5), up), score(up, up)

    assert (even.accuracy, even.log_loss, even.brier) == (0.5, pytest.approx(math.log(2)), 0.25)
    assert even.calibration_error == pytest.approx(0.25)
    assert (sure.accuracy, sure.brier) == (1.0, 0.0)
    with pytest.raises(ConfigError, match="no outcome"):
        score(np.zeros(0), np.zeros(0))


def test_scores_equal_those_of_another_library() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, 500)
    up = (rng.random(500) < p).astype(np.float64)

    made = score(p, up)

    assert made.log_loss == pytest.approx(metrics.log_loss(up, p))
    assert made.brier == pytest.approx(metrics.brier_score_loss(up, p))
    assert made.accuracy == pytest.approx(metrics.accuracy_score(up, p > 0.5))


def test_reliability_bins_hold_everything_once_and_equal_forecasts_together() -> None:
    rng = np.random.default_rng(1)
    p = np.round(rng.uniform(0.3, 0.7, 1_000), 1)
    up = (rng.random(1_000) < p).astype(np.float64)

    bins = reliability(p, up)

    assert sum(b.n for b in bins) == 1_000
    assert [b.forecast for b in bins] == sorted({b.forecast for b in bins})
    assert all(b.low <= b.happened <= b.high for b in bins)
    assert all(b.low <= b.forecast <= b.high for b in bins)


def test_logistic_regression_equals_that_of_another_library() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(2)
    x = rng.normal(0.0, 1.0, (400, 3)) * np.array([1.0, 5.0, 0.2]) + 3.0
    up = (rng.random(400) < sigmoid(x[:, 0] - 0.2 * x[:, 1])).astype(np.float64)

    made = fit_logistic(x, up, ridge=2.0)

    z = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = linear.LogisticRegression(C=0.5, tol=1e-10, max_iter=1_000).fit(z, up)
    np.testing.assert_allclose(made.weights, theirs.coef_[0], rtol=1e-4)
    assert made.bias == pytest.approx(float(theirs.intercept_[0]), rel=1e-3)


def test_calibration_puts_overconfidence_right_and_makes_a_wrong_ranking_a_constant() -> None:
    rng = np.random.default_rng(6)
    true = rng.uniform(0.2, 0.8, 4_000)
    up = (rng.random(4_000) < true).astype(np.float64)
    loud = sigmoid(3.0 * logit(true))

    made = fit_platt(loud, up)

    assert made.slope == pytest.approx(1.0 / 3.0, abs=0.05)
    assert float(np.abs(made(loud) - true).mean()) < 0.02
    wrong = fit_platt(1.0 - true, up)
    assert (wrong.slope, float(np.ptp(wrong(true)))) == (0.0, 0.0)


def test_gain_is_seen_where_it_is_and_not_where_it_is_not() -> None:
    rng = np.random.default_rng(8)
    nothing = rng.normal(0.0, 1.0, 2_000)

    assert gain(nothing).p_value > 0.05
    assert gain(nothing + 0.1).p_value < 0.01
    assert gain(np.zeros(10)).p_value == 1.0
    doubled = gain(2.0 * (nothing + 0.1), counts=np.full(2_000, 2.0))
    assert doubled.mean == pytest.approx(gain(nothing + 0.1).mean)


def test_hurst_tells_walks_from_trends_and_from_reversion() -> None:
    rng = np.random.default_rng(9)
    steps = rng.normal(0.0, 1.0, 3_000)
    trending = np.convolve(steps, np.ones(20), mode="valid")

    walked, kept, turned = (
        float(hurst(series)[600:].mean()) for series in (np.cumsum(steps), np.cumsum(trending), steps)
    )

    assert abs(walked - 0.5) < 0.05
    assert kept > 0.8
    assert turned < 0.1


def test_regimes_find_planted_states() -> None:
    """Calm and wild stretches of 100 returns each are told apart, and the filter knows the past alone."""
    rng = np.random.default_rng(10)
    wild = np.arange(2_000) // 100 % 2 == 1
    returns = rng.normal(0.0, np.where(wild, 0.03, 0.005))

    model = fit_regimes(returns, 2)

    assert model.spread[0] == pytest.approx(0.005, rel=0.15)
    assert model.spread[1] == pytest.approx(0.03, rel=0.15)
    assert model.move[0, 0] > 0.95
    states = model.filtered(returns)
    assert float(((states[:, 1] > 0.5) == wild).mean()) > 0.95
    np.testing.assert_allclose(states.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.filtered(returns[:500]), states[:500])


def test_regimes_likelihood_equals_the_sum_over_all_paths() -> None:
    """The scaled recursions give the sum over every path of states of so short a series."""
    rng = np.random.default_rng(11)
    returns = rng.normal(0.0, 1.0, 100)
    model = fit_regimes(returns, 2, rounds=1)
    few = returns[:6]

    def density(value: float, state: int) -> float:
        z = (value - model.mean[state]) / model.spread[state]
        return math.exp(-0.5 * z * z) / (model.spread[state] * math.sqrt(2.0 * math.pi))

    ends = np.zeros(2)
    for path in np.ndindex(*(2,) * 6):
        weight = model.start[path[0]] * density(few[0], path[0])
        for t in range(1, 6):
            weight *= model.move[path[t - 1], path[t]] * density(few[t], path[t])
        ends[path[-1]] += weight
    np.testing.assert_allclose(model.filtered(few)[-1], ends / ends.sum(), rtol=1e-9)


@pytest.mark.parametrize("returns", [np.zeros(500), np.ones(60)])
def test_regimes_of_too_little_are_refused(returns: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"too few|never vary"):
        fit_regimes(returns)


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"step": 0}, {"train": 10}, {"embargo": -1}])
def test_plan_that_cannot_be_walked_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="cannot be walked"):
        Plan(**{"horizon": 1, "train": 300, "step": 10} | wrong)


def test_measure_scores_markets_and_their_pool(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows for each market and for all together, written and read again, each with a verdict."""
    simple = {name: MODELS[name] for name in (NO_CHANGE, DRIFT, "linear")}
    monkeypatch.setattr("omega.analytics.forecast.measure.MODELS", simple)
    plan = Plan(horizon=1, train=400, step=400, embargo=1)

    records, bins = measure_timeframe({"A": reverting(), "B": reverting(seed=12)}, "1h", HOUR_NS, plan)

    assert [r.dataset for r in records] == ["A", "B", "all"]
    assert records[2].n == records[0].n + records[1].n
    assert all(r.low <= r.accuracy <= r.high for r in records)
    assert sum(b.bin.n for b in bins if b.dataset == "all") == records[2].n
    assert [e.verdict for e in as_evidence(records)] == [Verdict.BEATS] * 3
    write_tables(records, bins, tmp_path)  # type: ignore[arg-type]
    again = read_records(tmp_path / "forecasts.csv")  # type: ignore[operator]
    assert [r.dataset for r in again] == ["A", "B", "all"]
    assert again[0].log_loss == pytest.approx(records[0].log_loss, rel=1e-5)


def test_record_beats_chance_only_when_it_beats_both_references() -> None:
    good = replace(records_of()[0], n=5_000, p_no_change=0.0001, p_drift=0.0001)

    def verdict(record: Record) -> Verdict:
        return as_evidence([record])[0].verdict

    assert verdict(good) is Verdict.BEATS
    assert verdict(replace(good, p_drift=0.5)) is Verdict.NOT
    assert verdict(replace(good, p_no_change=0.5)) is Verdict.NOT
    assert verdict(replace(good, n=99)) is Verdict.FEW


@pytest.mark.req("1.18")
def test_carried_record_covers_every_model_market_and_horizon() -> None:
    """Every model that claims something is measured on three markets and all together, at both timeframes."""
    found = {(r.model, r.dataset, r.timeframe, r.horizon) for r in records_of()}
    wanted = {
        (model, dataset, timeframe, horizon)
        for model in set(MODELS) - {NO_CHANGE, DRIFT}
        for dataset in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "all")
        for timeframe, horizons in (("1h", (1, 24)), ("1d", (1, 7)))
        for horizon in horizons
    }

    assert found == wanted
    assert RELIABILITY.is_file()
    carried = [row for row in read_evidence(FILE) if row.family == "forecast"]
    assert len(carried) == len(wanted)
    again = as_evidence(list(records_of()))
    assert [(e.name, e.dataset, e.verdict) for e in carried] == [(e.name, e.dataset, e.verdict) for e in again]
    assert len(COLUMNS) == 14


def test_records_of_other_columns_are_refused(tmp_path: object) -> None:
    path = tmp_path / "forecasts.csv"  # type: ignore[operator]
    path.write_text("model,dataset\n", encoding="utf-8")

    with pytest.raises(CorruptData, match="measure the forecasts anew"):
        read_records(path)
