import re
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from omega import plugins
from omega.backtest.presets import FACTORS, OFF, load_preset, load_profile, load_trader, preset_names, profile_names
from omega.engine.cosmic import calculate_cosmic_influence
from omega.engine.profile import Profile
from omega.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
SIX = ("strategic", "aggressive", "newbie", "scalper", "yolo", "cosmic")
SEED_000 = """\
cosmic_factors:
  enabled: true  # Master switch for all cosmic factors
  moon_phase:
    enabled: true
    weight: 0.5  # Influence weight from 0.0 to 1.0
  schumann_resonance:
    enabled: false
    weight: 0.0
  market_liquidity:
    enabled: true
    weight: 0.8
  global_sentiment:
    enabled: true
    weight: 1.0
  mercury_retrograde:
    enabled: false
    weight: 0.0
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for kind in ("psychology", "cosmic_presets"):
        (tmp_path / kind).mkdir()
    return tmp_path


@pytest.mark.req("0.15", "0.35")
@pytest.mark.parametrize("name", SIX)
def test_profile_of_every_trader_loads_within_bounds(name: str):
    profile = load_profile(name, config_dir=CONFIG)

    assert isinstance(profile, Profile)
    assert profile.about
    assert not profile.simulation_only


def test_profiles_are_the_six_and_the_panicky_beginner():
    assert set(profile_names(CONFIG)) == {*SIX, "newbie_fomo", OFF}
    panicky = load_profile("newbie_fomo", config_dir=CONFIG)
    assert panicky is not None
    assert panicky.simulation_only


@pytest.mark.parametrize("name", SIX)
def test_profile_file_says_what_the_profile_holds(name: str):
    written = yaml.safe_load((CONFIG / "psychology" / f"{name}.yaml").read_text(encoding="utf-8"))
    adapts = written.pop("adapts", {})
    profile, rules = load_trader(name, config_dir=CONFIG)

    assert {key: getattr(profile, key) for key in written} == written
    assert {
        rule.trait: {key: value for key, value in asdict(rule).items() if key in adapts[rule.trait]} for rule in rules
    } == adapts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("discipline: 1.5", ["bad.yaml", "discipline", "outside 0 to 1"]),
        ("disciplin: 0.5", ["bad.yaml", "did you mean 'discipline'"]),
        ("discipline: [", ["bad.yaml", "line 1"]),
        ("just words", ["bad.yaml", "no mapping"]),
    ],
)
def test_profile_that_is_broken_names_file_and_key(home: Path, text: str, words: list[str]):
    (home / "psychology" / "bad.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_profile("bad", config_dir=home)

    assert all(word in str(caught.value) for word in words)


def test_profile_that_does_not_exist_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'strategic'"):
        load_profile("strategc", config_dir=CONFIG)


def test_off_is_nothing_at_all(home: Path):
    assert load_profile(OFF, config_dir=home) is None
    assert load_preset(OFF, config_dir=home) is None


@pytest.mark.req("0.62", "0.63", "0.64", "0.65", "0.66")
def test_preset_of_the_seed_loads_exactly_as_printed():
    text = (CONFIG / "cosmic_presets" / "seed000.yaml").read_text(encoding="utf-8")

    preset = load_preset("seed000", config_dir=CONFIG)

    assert text == SEED_000
    assert preset is not None
    assert dict(preset.weights) == {"global_sentiment": 1.0, "market_liquidity": 0.8, "moon_phase": 0.5}
    full = calculate_cosmic_influence(yaml.safe_load(text), {"moon_phase": "full"})
    assert full["risk_appetite"] == 0.25


def test_preset_every_file_loads_and_off_is_off():
    plugins.factors.discover()
    loaded = {name: load_preset(name, config_dir=CONFIG) for name in preset_names(CONFIG)}

    assert {name for name, preset in loaded.items() if preset is None} == {OFF}
    everything = loaded["all"]
    assert everything is not None
    assert dict(everything.weights) == dict.fromkeys(FACTORS, 1.0)


@pytest.mark.req("0.21")
@pytest.mark.parametrize("factor", sorted({*plugins.factors.discover(), *FACTORS}))
def test_preset_only_of_every_registered_factor_exists(factor: str):
    known = plugins.factors.names()

    by_file = load_preset(f"only_{factor}", config_dir=CONFIG, known=known)
    by_word = load_preset(f"only:{factor}", config_dir=CONFIG, known=known)

    assert by_file == by_word
    assert by_file is not None
    assert by_file.weights == ((factor, 1.0),)
    assert (CONFIG / "cosmic_presets" / f"only_{factor}.yaml").is_file()


def test_preset_only_of_a_factor_without_a_file_needs_none(home: Path):
    made = load_preset("only_tea_leaves", config_dir=home, known=("tea_leaves",))

    assert made is not None
    assert made.weights == (("tea_leaves", 1.0),)
    with pytest.raises(ConfigError, match="there is no 'only_tea_leaves'"):
        load_preset("only_tea_leaves", config_dir=home)


def test_preset_in_live_mode_is_live_whatever_the_file_says(home: Path):
    path = home / "mine.yaml"
    path.write_text(SEED_000 + "application:\n  live: false\n  exit_impulse:\n    enabled: false\n", encoding="utf-8")

    made = load_preset(str(path), live=True)

    assert made is not None
    assert made.application.live
    assert made.application.reach == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("cosmic_factors:\n  enabled: true\n  moon_phaze: {enabled: true, weight: 1}", "did you mean 'moon_phase'"),
        ("cosmic_factors:\n  enabled: true\n  moon_phase: {enabled: true, weight: 2}", "moon_phase.weight = 2"),
        ("cosmic_factors: 5", "cosmic_factors is 5"),
        ("cosmic_factor: {}", "did you mean 'cosmic_factors'"),
        (SEED_000 + "place: {latitude: 100}", "place.latitude = 100"),
        (SEED_000 + "application: {position_size: {sensitivity: 3}}", "position_size.sensitivity"),
    ],
)
def test_preset_that_is_broken_names_file_and_key(home: Path, text: str, word: str):
    (home / "cosmic_presets" / "bad.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=f"bad.yaml: .*{re.escape(word)}"):
        load_preset("bad", config_dir=home)


@pytest.mark.req("0.15")
@pytest.mark.parametrize(
    ("name", "risk", "base", "most", "news"),
    [
        ("strategic", (0.4, 0.6), 2.0, 10.0, 0.6),
        ("aggressive", (0.7, 0.9), 5.0, 20.0, 0.8),
        ("newbie", (0.3, 0.9), 1.0, 1.5, 1.3),
        ("newbie_fomo", (0.3, 0.9), 3.0, 15.0, 1.3),
        ("scalper", (0.5, 0.8), 7.0, 25.0, 0.9),
        ("yolo", (1.0, 1.0), 10.0, 50.0, 1.5),
        ("cosmic", (0.4, 0.8), 3.0, 10.0, 1.0),
    ],
)
def test_profile_keeps_the_figures_of_the_domain(
    name: str, risk: tuple[float, float], base: float, most: float, news: float
):
    """Risk tolerance, leverage and what news does; the cautious newbie has the leverage of its row of the profiles."""
    profile = load_profile(name, config_dir=CONFIG)

    assert profile is not None
    assert risk[0] <= profile.risk <= risk[1]
    assert (profile.base_leverage, profile.most_leverage, profile.news_factor) == (base, most, news)
