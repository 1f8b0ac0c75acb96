from pathlib import Path

import numpy as np
import pytest

from omega import plugins
from omega.backtest.feeds import Feed
from omega.backtest.influences import Influences, load_influences
from omega.backtest.skies import HOUR_NS, SkyHistory
from omega.cosmic.sky import Sky
from omega.domain import from_iso
from omega.engine.bars import F64, I64
from omega.engine.conditions import time_conditions
from omega.engine.cosmic import calculate_cosmic_influence
from omega.engine.profile import NEUTRAL, NEUTRAL_MIND
from omega.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
MINUTE_NS = 60_000_000_000
START = from_iso("2025-06-10T00:30:00Z")
TS = START + np.arange(3 * 1440, dtype=np.int64) * MINUTE_NS


def full_at_noon(factor: str, hours: I64) -> F64 | None:
    """Give a full moon at noon alone and nothing about anything else."""
    if factor != "moon_phase":
        return None
    return np.where(hours // HOUR_NS % 24 == 12, 180.0, 0.0)


def load(preset: str = "only_moon_phase", **options: object) -> Influences:
    settings = {"timeframe_ns": MINUTE_NS, "readings": full_at_noon, "config_dir": CONFIG} | options
    return load_influences("off", preset, TS, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> SkyHistory:
    return SkyHistory(tmp_path_factory.mktemp("sky"))


def test_influences_off_are_neutral():
    made = load_influences("off", "off", TS, config_dir=CONFIG)

    assert (made.profile, made.cosmic) == (None, None)
    assert (made.traits, made.first_mind) == ((NEUTRAL,) * 4, NEUTRAL_MIND)
    assert Influences().traits == (NEUTRAL,) * 4


def test_influences_carry_what_loads_them_again():
    made = load_influences("yolo", "only_schumann_resonance", TS, seed=3, shift=5, readings=full_at_noon,
                           config_dir=CONFIG)  # fmt: skip

    assert {traits[0] for traits in made.traits} == {3.0}
    asked = made.settings()
    assert (asked["psychology"], asked["cosmic"], asked["seed"], asked["shift"]) == (
        "yolo",
        "only_schumann_resonance",
        3,
        5,
    )
    assert asked["without_history"] == ["schumann_resonance"]
    assert made.cosmic is not None
    assert not made.cosmic.risk.any()


def test_series_holds_for_the_hour_that_has_begun_at_the_close():
    series = load().cosmic
    assert series is not None

    def risk_at(text: str) -> float:
        return float(series.risk[series.row(from_iso(text), MINUTE_NS)])

    assert risk_at("2025-06-10T11:58:00Z") == 0.0
    assert risk_at("2025-06-10T11:59:00Z") == 0.5
    assert risk_at("2025-06-10T12:58:00Z") == 0.5
    assert risk_at("2025-06-10T12:59:00Z") == 0.0
    assert series.covers(TS, MINUTE_NS)
    assert not series.covers(TS - HOUR_NS, MINUTE_NS)
    assert not series.covers(TS + 2 * HOUR_NS, MINUTE_NS)


def test_series_equals_the_function_of_the_seeds_hour_by_hour():
    feed = Feed("global_sentiment", TS[:1] // HOUR_NS * HOUR_NS, np.array([80.0]), 0, 24 * HOUR_NS)
    series = load("shipped", feeds=(feed,)).cosmic
    assert series is not None
    shipped = {
        "enabled": True,
        **{
            name: {"enabled": True, "weight": weight}
            for name, weight in {
                "moon_phase": 0.5, "global_sentiment": 1.0, "geographic_influence": 0.2, "time_cycle": 0.8,
                "circadian_rhythm": 0.6,
            }.items()
        },
    }  # fmt: skip

    for row in range(len(series.risk)):
        at_ns = series.start_ns + row * HOUR_NS
        conditions = {
            "moon_phase": "full" if at_ns // HOUR_NS % 24 == 12 else "new",
            "global_sentiment": 80.0 if row < 24 else None,
            **time_conditions(at_ns, 40.0, -74.0),
        }
        wanted = calculate_cosmic_influence(shipped, conditions)

        assert series.risk[row] == wanted["risk_appetite"]
        assert series.confidence[row] == wanted["confidence"]
        assert series.emotion[row] == wanted["emotional_intensity"]


@pytest.mark.req("0.14")
def test_series_placebo_is_the_same_moved_in_a_circle():
    real, placebo = load().cosmic, load(shift=7).cosmic
    assert real is not None
    assert placebo is not None

    np.testing.assert_array_equal(placebo.risk, np.roll(real.risk, 7))
    np.testing.assert_array_equal(placebo.shifted(-7).confidence, real.confidence)
    assert sorted(placebo.emotion) == sorted(real.emotion)
    assert real.shifted(0) is real


def test_series_of_a_prefix_is_the_prefix_of_the_series():
    long = load("all").cosmic
    short = load_influences(
        "off", "all", TS[:2000], timeframe_ns=MINUTE_NS, readings=full_at_noon, config_dir=CONFIG
    ).cosmic
    assert long is not None
    assert short is not None

    for name in ("risk", "confidence", "emotion"):
        np.testing.assert_array_equal(getattr(long, name)[: len(short.risk)], getattr(short, name))


def test_influences_without_bars_are_refused():
    with pytest.raises(ConfigError, match="no bar"):
        load_influences("off", "all", TS[:0], config_dir=CONFIG)


def test_influences_of_a_simulation_profile_are_refused_live():
    with pytest.raises(ConfigError, match="simulation alone"):
        load_influences("newbie_fomo", "off", TS, live=True, config_dir=CONFIG)
    assert load_influences("newbie", "off", TS, live=True, config_dir=CONFIG).live


def test_history_equals_the_registered_functions(history: SkyHistory):
    hours = from_iso("2025-06-10T00:00:00Z") + np.arange(48, dtype=np.int64) * HOUR_NS
    sky = Sky(hours_ahead=100)
    table = sky.table(int(hours[0]))
    sky.close()

    plugins.factors.discover()
    for factor in [entry.name for entry in plugins.factors if entry.kind == "calculated"]:
        found = history(factor, hours)

        rule = plugins.factors.get(factor).function
        wanted = [rule(int(at), table) for at in hours]
        exact = [one.raw if factor == "moon_phase" else one.value for one in wanted]
        np.testing.assert_allclose(found, exact, atol=1e-6)


def test_history_of_a_factor_that_nobody_calculates_is_none(history: SkyHistory):
    assert history("schumann_resonance", TS[:1] // HOUR_NS * HOUR_NS) is None


def test_history_of_a_year_is_read_from_its_files_the_second_time(history: SkyHistory):
    hours = from_iso("2025-01-01T00:00:00Z") + np.arange(8761, dtype=np.int64) * HOUR_NS
    first = {factor: history(factor, hours) for factor in ("moon_phase", "mercury_retrograde")}

    reader = SkyHistory(history.directory)
    again = {factor: reader(factor, hours) for factor in first}

    assert history._tables
    assert not reader._tables
    names = sorted(path.name.rpartition("-")[0] for path in history.directory.iterdir())
    assert {"mercury_retrograde-2025", "moon_phase-2025"} <= set(names)
    for factor, column in first.items():
        assert column is not None
        assert not np.isnan(column).any()
        np.testing.assert_array_equal(again[factor], column)


def test_history_with_a_broken_cache_file_calculates_anew(history: SkyHistory):
    hours = from_iso("2025-06-10T00:00:00Z") + np.arange(3, dtype=np.int64) * HOUR_NS
    before = history("mercury_retrograde", hours)
    for path in history.directory.glob("mercury*"):
        path.write_bytes(b"no array")
    history._years.clear()

    np.testing.assert_array_equal(history("mercury_retrograde", hours), before)
