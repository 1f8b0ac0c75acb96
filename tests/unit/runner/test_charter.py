"""What the settings say of a bot's psychology and cosmic factors: off unless named, and a wrong name is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from omega.backtest.presets import load_preset, load_profile
from omega.config import Settings
from omega.config.fields import Reload, reload_of
from omega.config.outer import Bot as Plan
from omega.engine.decision import identity
from omega.errors import ConfigError
from services.runner.charter import Charter
from services.runner.sky import HourlySky

from .test_bot import BTC, CHARTER, warm

FARM = {"enabled": True, "factors": {"moon_phase": {"enabled": True, "weight": 0.5}, "mercury_retrograde": {}}}


def charter(farm: dict[str, Any] | None = None, /, **plan: Any) -> Charter:
    settings = {
        "runner": {"bot": "alpha"},
        "cosmic": farm or {},
        "bots": {"alpha": {"strategy": "ema_cross", "symbol": "BTC-USDT.P", **plan}},
    }
    return Charter.of(Settings.model_validate(settings))


@pytest.mark.req("0.09", "0.13")
def test_charter_by_default_changes_nothing() -> None:
    made = charter()
    rules = made.rules(BTC, warm().state.temper.mind)

    assert (made.psychology, made.profile, made.cosmic, made.preset, made.factors) == ("", None, "", None, ())
    assert rules.psychology is identity
    assert rules.cosmic is identity


def test_charter_carries_the_values_of_profile_and_preset() -> None:
    made = charter(psychology="strategic", cosmic="shipped")

    assert made.profile == load_profile("strategic")
    assert made.preset == load_preset("shipped")
    assert made.factors == ("global_sentiment", "market_liquidity", "moon_phase", "schumann_resonance")


@pytest.mark.parametrize("profile", ["strategic", "yolo"])
@pytest.mark.parametrize("preset", ["shipped", "only_time_cycle", "all"])
def test_charter_survives_a_session_as_it_is(profile: str, preset: str) -> None:
    made, adapter = charter(psychology=profile, cosmic=preset), TypeAdapter(Charter)

    assert adapter.validate_json(adapter.dump_json(made)) == made


def test_charter_of_an_older_session_has_neither() -> None:
    adapter = TypeAdapter(Charter)
    raw = adapter.dump_python(CHARTER, mode="json")
    for name in ("psychology", "profile", "cosmic", "preset"):
        del raw[name]

    assert adapter.validate_python(raw) == CHARTER


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"psychology": "strategik"}, "did you mean 'strategic'"),
        ({"cosmic": "shiped"}, "did you mean 'shipped'"),
        ({"cosmic": "only_moonphase"}, "did you mean 'only_moon_phase'"),
    ],
)
def test_charter_unknown_name_is_refused_with_the_nearest(plan: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        charter(**plan)


@pytest.mark.req("0.61")
def test_charter_without_a_preset_goes_by_the_farms_factors_and_their_master_switch() -> None:
    on, off = charter(FARM), charter({**FARM, "enabled": False})

    assert on.preset is not None
    assert (on.preset.weights, on.factors) == ((("moon_phase", 0.5),), ("moon_phase",))
    assert isinstance(on.rules(BTC, warm().state.temper.mind).cosmic, HourlySky)
    assert off.preset is None


def test_charter_off_overrules_the_farms_factors() -> None:
    made = charter(FARM, psychology="off", cosmic="off")

    assert (made.preset, made.profile, made.factors) == (None, None, ())


def test_charter_factors_of_time_and_place_are_not_asked_for() -> None:
    assert charter(cosmic="only_time_cycle").factors == ()


@pytest.mark.parametrize("cosmic", ["shipped", ""])
def test_charter_live_mode_clamps_whatever_the_file_says(cosmic: str) -> None:
    live, paper = charter(FARM, mode="live", cosmic=cosmic), charter(FARM, cosmic=cosmic)

    assert (live.clamped, paper.clamped) == (True, False)
    mind = warm().state.temper.mind
    assert live.rules(BTC, mind).cosmic.stage.application.live  # type: ignore[attr-defined]
    assert not paper.rules(BTC, mind).cosmic.stage.application.live  # type: ignore[attr-defined]


def test_settings_of_both_take_effect_between_two_bars() -> None:
    fields = Plan.model_fields

    assert {reload_of(fields[name]) for name in ("psychology", "cosmic")} == {Reload.BAR}
    assert all("config/" in (fields[name].description or "") for name in ("psychology", "cosmic"))
