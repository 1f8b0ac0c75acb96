"""Traits that follow the regime of the market: within declared bounds, without memory, every move with its reason."""

from pathlib import Path

import numpy as np
import pytest

from omega.backtest.influences import load_influences
from omega.backtest.presets import load_trader, profile_names
from omega.domain import MINUTE_NS
from omega.engine import Bars
from omega.engine.adaptation import ADAPTABLE, Adaptation, adapted, trait_moves, traits_by_regime
from omega.engine.profile import Profile
from omega.engine.regime import CONFIRM, REGIME_BARS, Regime, regime_now, regimes
from omega.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
RULES = (Adaptation("discipline", 0.4, 0.6, trending=-0.05, volatile=0.3),)


def bars_of(close: np.ndarray) -> Bars:
    ts = np.arange(len(close), dtype=np.int64) * MINUTE_NS + 1_700_000_040_000_000_000
    return Bars.of(ts, close, close + 1.0, close - 1.0, close, np.ones(len(close)))


def walk(seed: int, n: int, size: float = 1.0) -> np.ndarray:
    return 10_000.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, size, n))


def market() -> Bars:
    """A quiet walk, a trend, a sideways market and a storm, 500 bars each."""
    trend = np.arange(500.0) + walk(1, 500, 0.2) - 10_000.0
    sideways = np.tile([0.0, 1.0, 0.2, 1.2], 125)
    storm = np.cumsum(np.random.default_rng(2).normal(0.0, 15.0, 500))
    parts = [walk(0, 500) - 10_000.0]
    for part in (trend, sideways, storm):
        parts.append(parts[-1][-1] + part)
    return bars_of(10_000.0 + np.concatenate(parts))


@pytest.mark.req("0.15")
def test_regime_names_trend_sideways_and_storm_in_their_stretches():
    found = regimes(market())

    assert not found[: REGIME_BARS - 1].any()
    assert (found[700:1_000] == Regime.TRENDING).mean() > 0.8
    assert (found[1_300:1_500] == Regime.RANGING).all()
    assert (found[1_520:1_650] == Regime.VOLATILE).mean() > 0.5


def test_regime_of_a_window_is_that_of_the_whole_history_to_the_last_bit():
    bars = market()
    whole = regimes(bars)

    for row in range(REGIME_BARS, bars.n, 37):
        assert regime_now(bars.prefix(row + 1)) == whole[row]
        assert np.array_equal(regimes(bars.prefix(row + 1)), whole[: row + 1])
        part = regimes(bars.since(row - REGIME_BARS + 1))
        assert np.array_equal(part[REGIME_BARS - 1 :], whole[row:])


def test_regime_of_a_market_that_stands_still_is_ranging_and_of_too_few_bars_mixed():
    assert regime_now(bars_of(np.full(REGIME_BARS, 10.0))) is Regime.RANGING
    assert regime_now(bars_of(np.full(REGIME_BARS - 1, 10.0))) is Regime.MIXED


def test_regime_at_a_threshold_does_not_flicker():
    changes = np.flatnonzero(np.diff(regimes(bars_of(walk(3, 50_000)))))

    named = np.diff(changes)[1::2]
    assert len(changes) > 100
    assert (np.diff(changes) >= 1).all()
    assert len(changes) / 50_000 < 0.5 / CONFIRM * 2, named


@pytest.mark.req("0.15")
@pytest.mark.parametrize("name", profile_names(CONFIG))
def test_adapted_profile_stays_within_declared_bounds(name: str):
    profile, rules = load_trader(name, config_dir=CONFIG)

    for regime in Regime:
        for rule in rules:
            assert profile is not None
            assert rule.low <= getattr(adapted(profile, rules, regime), rule.trait) <= rule.high
            assert rule.trait in ADAPTABLE
    assert bool(rules) == (name in {"strategic", "aggressive", "scalper", "cosmic"})


def test_adapted_profile_moves_the_named_trait_alone_and_cuts_at_the_bound():
    profile = Profile()

    volatile = adapted(profile, RULES, Regime.VOLATILE)

    assert volatile.discipline == 0.6
    assert adapted(profile, RULES, Regime.TRENDING).discipline == 0.45
    assert adapted(profile, RULES, Regime.MIXED) is adapted(profile, RULES, Regime.RANGING) is profile
    assert volatile == Profile(discipline=0.6)


def test_adapted_profile_of_strength_zero_is_the_very_object():
    off = Profile(strength=0.0)

    assert all(adapted(off, RULES, regime) is off for regime in Regime)
    assert trait_moves(off, RULES, Regime.MIXED, Regime.VOLATILE) == ()
    assert len(set(traits_by_regime(off, RULES))) == 1


@pytest.mark.req("0.15")
def test_move_has_before_after_and_reason():
    (move,) = trait_moves(Profile(), RULES, Regime.TRENDING, Regime.VOLATILE)

    assert (move.stage, move.field, move.before, move.after) == ("psychology", "discipline", 0.45, 0.6)
    assert move.why == "adapts: trending to volatile"
    assert trait_moves(Profile(), RULES, Regime.MIXED, Regime.RANGING) == ()


def test_moves_over_history_chain_from_the_profiles_own_value():
    bars = market()
    given = load_influences(Profile(), "off", bars.ts, adapts=RULES)

    moves = given.moves(bars)

    assert len(moves) >= 3
    values = [0.5, *[entry.after for _, entry in moves]]
    assert [entry.before for _, entry in moves] == values[:-1]
    assert load_influences(Profile(), "off", bars.ts).moves(bars) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("discipline: {low: 0.2, high: 0.9, volatil: 0.1}", "did you mean 'volatile'"),
        ("diszipline: {low: 0.2, high: 0.9}", "did you mean 'discipline'"),
        ("strength: {low: 0.2, high: 0.9}", "no trait that moves"),
        ("discipline: {low: 0.2, volatile: 0.1}", "high is missing"),
        ("discipline: {low: 0.2, high: 1.5}", "outside 0 to 1"),
        ("discipline: {low: 0.7, high: 0.9}", "does not hold the profile's own 0.5"),
        ("discipline: {low: .nan, high: 0.9}", "no number"),
        ("discipline: 0.7", "write low, high"),
    ],
)
def test_adaptation_that_does_not_fit_names_file_trait_and_way_out(tmp_path: Path, rule: str, words: str):
    folder = tmp_path / "psychology"
    folder.mkdir()
    (folder / "bad.yaml").write_text(f"adapts:\n  {rule}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=f"bad.yaml.*{words}"):
        load_trader("bad", config_dir=tmp_path)
