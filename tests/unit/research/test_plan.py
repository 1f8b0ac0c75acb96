"""Experiment files: what is accepted, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from omega.errors import ConfigError
from omega.research.experiment import Plan, read_plan
from omega.research.experiment.arena import preset_file
from omega.research.experiment.folds import DAY_NS, daily_returns, folds_of
from omega.research.experiment.plan import Folds
from omega.research.experiment.reading import bot_of, rules_of

EXPERIMENTS = Path(__file__).resolve().parents[3] / "config" / "experiments"
GOOD = """\
name: trial
bot: ema_cross
metric: sharpe
direction: higher
minimum_effect: 0.1
seed: 1
data: {symbols: [BTCUSDT], timeframe: 1h}
folds:
  train_days: 10
  test_days: 20
  tune: {slow: [26, 50]}
placebos: 99
arms:
  control: {}
  moon:
    cosmic: {moon_phase: 0.5}
  fast: {params: {fast: 8}, against: moon}
"""


def _read(tmp_path: Path, text: str) -> Plan:
    path = tmp_path / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


@pytest.mark.req("0.52", "0.13")
@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_plan_every_shipped_experiment_is_sound(path: Path) -> None:
    plan = read_plan(path)

    assert plan.name == path.stem
    assert plan.question
    assert plan.tested


def test_plan_cosmic_isolation_has_every_known_factor_alone_and_all_together() -> None:
    from omega.backtest.presets import FACTORS

    plan = read_plan(EXPERIMENTS / "cosmic_isolation.yaml")

    assert set(plan.tested) == {*FACTORS, "all"}
    assert all(plan.arms[name].has_placebos for name in plan.tested)
    assert plan.arms[plan.control].cosmic == "off"


def test_plan_good_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = _read(tmp_path, GOOD)

    assert plan.tested == ("moon", "fast")
    assert (plan.against("moon"), plan.against("fast")) == ("control", "moon")
    assert plan.arms["moon"].has_placebos
    assert not plan.arms["fast"].has_placebos
    assert plan.folds.tune == {"slow": (26, 50)}
    entry, params = bot_of(plan)
    assert entry.name == "ema_cross"
    assert params == {}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("metric: sharpe", "metrik: sharpe", r"line 3: there is no setting metrik \(did you mean 'metric'\?\)"),
        ("metric: sharpe", "metric: sharp", "'sharp' is no metric .*did you mean 'sharpe'"),
        ("seed: 1\n", "", "seed is missing"),
        ("    cosmic: {moon", "    cosmik: {moon", r"line 16: there is no setting arms.moon.cosmik .*'cosmic'"),
        ("train_days: 10", "trian_days: 10", r"line 9: there is no setting folds.trian_days .*'train_days'"),
        ("moon_phase: 0.5", "moon_fase: 0.5", "unknown factor 'moon_fase' .*'moon_phase'"),
        ("moon_phase: 0.5", "moon_phase: 1.5", r"line 16: arms.moon.cosmic.moon_phase = 1.5: must be less than"),
        ("moon_phase: 0.5", "moon_phase: 0.0", "no factor has a weight above 0"),
        ("bot: ema_cross", "bot: ema_kross", "no configured bot 'ema_kross' .*'ema_cross'"),
        ("bot: ema_cross", "bot: position_analyzer", "only reads and never trades"),
        ("params: {fast: 8}", "params: {fats: 8}", "arms.fast.params: unknown parameter 'fats' .*'fast'"),
        ("params: {fast: 8}", "params: {fast: 8000}", "arms.fast.params: fast = 8000"),
        ("params: {fast: 8}", "params: {slow: 30}", "slow is tuned on every fold"),
        ("against: moon", "against: mun", "arms.fast.against: 'mun' is no other arm .*'moon'"),
        ("control: {}", "plain: {}", "there is no arm 'control'"),
        ("control: {}", "control: {against: moon}", "the control is compared with nothing"),
        ("params: {fast: 8}, against: moon", "cosmic: off", "arms.fast does the same as arms.control"),
        ("params: {fast: 8}", "psychology: nobody", "arms.fast: psychology: there is no 'nobody'"),
        ("placebos: 99", "placebos: 20", "use at least 39"),
        ("train_days: 10", "train_days: 0", "set folds.train_days"),
        ("[26, 50]", "[]", "nothing to choose from"),
        ("timeframe: 1h", "timeframe: hour", "'hour' is no timeframe"),
        ("[BTCUSDT]", "[BTCUSDT, BTCUSDT]", "stands twice"),
        ("seed: 1", "seed: 1\nrules: {risky: 1}", "unknown rule 'risky' .*'risk'"),
        ("seed: 1", "seed: 1\nrules: {risk: 7.0}", "risk = 7.0 lies outside"),
        ("seed: 1", "seed: one", "line 6: seed = 'one'"),
        ("seed: 1", "seed: 1\nseed: 2", "second time"),
        ("direction: higher", "direction: up", "must be 'higher', 'lower' or 'either'"),
    ],
)
def test_plan_each_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD

    with pytest.raises(ConfigError, match=told) as caught:
        _read(tmp_path, GOOD.replace(old, new))

    assert "trial.yaml" in str(caught.value)


def test_plan_configured_bot_brings_its_strategy_and_parameters(tmp_path: Path) -> None:
    entry, _ = bot_of(_read(tmp_path, GOOD.replace("bot: ema_cross", "bot: ema-btc")))

    assert entry.name == "ema_cross"


def test_plan_rules_are_those_of_a_back_test_with_what_was_said(tmp_path: Path) -> None:
    rules = rules_of(_read(tmp_path, GOOD.replace("seed: 1", "seed: 1\nrules: {min_confidence: 0.9}")))

    assert rules.min_confidence == 0.9
    assert not rules.live


def test_plan_digest_changes_with_the_rules_of_judgement_and_not_with_words(tmp_path: Path) -> None:
    plan = _read(tmp_path, GOOD)

    assert _read(tmp_path, "question: why?\n" + GOOD).digest == plan.digest
    assert _read(tmp_path, GOOD.replace("minimum_effect: 0.1", "minimum_effect: 0.2")).digest != plan.digest


def test_plan_own_weights_become_a_preset_for_the_moment(tmp_path: Path) -> None:
    from omega.backtest.presets import load_preset

    with preset_file(_read(tmp_path, GOOD).arms["moon"]) as name:
        preset = load_preset(name)

    assert preset is not None
    assert preset.weights == (("moon_phase", 0.5),)
    assert not Path(name).exists()


def test_folds_walk_forward_without_gap_or_overlap() -> None:
    plan = Folds(train_days=10, test_days=5)

    folds = folds_of(plan, DAY_NS // 2, 31 * DAY_NS)

    assert [(fold.train_ns // DAY_NS, fold.test_ns // DAY_NS, fold.end_ns // DAY_NS) for fold in folds] == [
        (1, 11, 16),
        (6, 16, 21),
        (11, 21, 26),
        (16, 26, 31),
    ]
    assert {fold.train_ns for fold in folds_of(plan.model_copy(update={"anchored": True}), 0, 31 * DAY_NS)} == {0}


def test_folds_that_do_not_fit_are_refused_with_the_span() -> None:
    with pytest.raises(ConfigError, match=r"10 \+ 5 days do not fit"):
        folds_of(Folds(train_days=10, test_days=5), 0, 14 * DAY_NS)


def test_daily_returns_take_the_last_close_of_each_day_and_carry_it_over_gaps() -> None:
    import numpy as np

    hour = DAY_NS // 24
    ts = np.array([DAY_NS - hour, DAY_NS, DAY_NS + 23 * hour, 3 * DAY_NS + 5 * hour])
    equity = np.array([100.0, 105.0, 110.0, 99.0])

    found = daily_returns(ts, equity, DAY_NS, 3, hour, 100.0)

    np.testing.assert_allclose(found, [0.1, 0.0, -0.1])
