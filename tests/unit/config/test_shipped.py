"""The configuration that the project carries, its schema, and how it is shown."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from omega.config import OmegaConfig, Reload, Settings, as_json, as_text, json_schema, load
from omega.config.loader import project_config
from omega.config.schema import leaves
from omega.telemetry import is_secret_key


@pytest.mark.req("0.38", "4.11", "4.75")
@pytest.mark.parametrize("env", ["dev", "paper"])
def test_shipped_settings_load_and_name_four_bots(env: str) -> None:
    settings = load(env=env, environ={}).settings

    enabled = {name: (bot.strategy, bot.symbol) for name, bot in settings.bots.items() if bot.enabled}
    assert enabled == {
        "fib-btc": ("strategic_fibonacci", "BTC-USDT.P"),
        "trend-eth": ("ccxt_trend", "ETH-USDT.P"),
        "positions": ("position_analyzer", "BTC-USDT.P"),
        "market": ("trading_analyzer", "ETH-USDT.P"),
    }
    assert not settings.bots["ema-btc"].enabled
    assert settings.environment.name == env


@pytest.mark.req("0.61", "2.62")
@pytest.mark.parametrize("env", ["dev", "paper"])
def test_shipped_cosmic_master_switch_is_off(env: str) -> None:
    cosmic = load(env=env, environ={}).settings.cosmic

    assert not cosmic.enabled
    assert cosmic.factors["moon_phase"].weight == 0.5


@pytest.mark.req("1.06")
def test_shipped_files_hold_no_secrets() -> None:
    for path in project_config().rglob("*.yaml"):
        for line in path.read_text().splitlines():
            key = re.match(r"\s*([\w-]+):\s*\S", line)
            assert key is None or not is_secret_key(key.group(1)), f"{path}: {line}"


@pytest.mark.req("4.12", "4.14")
def test_schema_is_valid_and_covers_the_five_sections() -> None:
    schema = json_schema()

    Draft202012Validator.check_schema(schema)
    assert OmegaConfig is Settings
    assert {"environment", "trading", "training", "monitoring", "database"} <= schema["properties"].keys()


@pytest.mark.req("2.131")
def test_schema_every_field_has_words_and_a_reload_class() -> None:
    def walk(name: str, model: dict[str, object]) -> None:
        properties = model.get("properties", {})
        assert isinstance(properties, dict)
        for field, body in properties.items():
            assert body.get("description"), f"{name}.{field} has no description"
            assert Reload(body["reload"]), f"{name}.{field} has no reload class"

    schema = json_schema()
    walk("Settings", schema)
    for name, model in schema["$defs"].items():
        assert model["additionalProperties"] is False if model["type"] == "object" else True
        walk(name, model)


def test_show_lists_every_setting_with_origin_and_hides_secrets() -> None:
    loaded = load(
        env="dev", environ={"OMEGA_GATEWAY__API_SECRET": "planted-1", "OMEGA_REDIS_URL": "redis://u:planted-2@h:1/0"}
    )

    text, document = as_text(loaded), json.dumps(as_json(loaded))

    for shown in (text, document):
        assert "planted" not in shown
        assert "gateway.api_secret" in shown
    paths = {path for path in leaves() if "NAME" not in path}
    assert paths <= as_json(loaded)["settings"].keys() | {"bots"}
    assert as_json(loaded)["settings"]["trading.max_leverage"]["origin"] == "config/risk.yaml line 3"
    assert as_json(loaded)["settings"]["trading.max_leverage"]["reload"] == "bar"
    assert as_json(loaded)["settings"]["redis.pool_size"]["origin"] == "default"
