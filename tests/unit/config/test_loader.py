"""Layers, refusals with file and line, secrets, provenance."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from omega.config import Loaded, load
from omega.domain import Mode
from omega.errors import ConfigError

Write = Callable[[str, str], Path]


def of(config_dir: Path, environ: dict[str, str] | None = None, **more: object) -> Loaded:
    return load(config_dir=config_dir, environ=environ or {}, **more)  # type: ignore[arg-type]


LAYERS = ["base", "env", "bots", "cosmic", "risk", "live", "secret", "variable", "argument"]


@pytest.mark.req("0.38", "1.95", "2.102", "2.103", "2.105", "4.10")
@pytest.mark.parametrize("top", range(1, len(LAYERS)))
def test_layers_each_one_wins_over_the_one_below(config_dir: Path, write: Write, tmp_path: Path, top: int) -> None:
    live, secrets = tmp_path / "live", tmp_path / "secrets"
    live.mkdir()
    secrets.mkdir()
    environ = {"OMEGA_LIVE_DIR": str(live), "OMEGA_SECRETS_DIR": str(secrets), "OMEGA_ENV": "paper"}
    overrides: dict[str, str] = {}
    for number, layer in enumerate(LAYERS[: top + 1]):
        text = f"trading:\n  max_leverage: {number + 1}\n"
        match layer:
            case "base":
                write("base.yaml", text)
            case "env":
                write("env/paper.yaml", text)
            case "bots":
                write("bots/a.yaml", text)
            case "live":
                (live / "live.yaml").write_text(text)
            case "secret":
                (secrets / "trading__max_leverage").write_text(f"{number + 1}\n")
                (secrets / "trading__max_leverage").chmod(0o400)
            case "variable":
                environ["OMEGA_TRADING__MAX_LEVERAGE"] = str(number + 1)
            case "argument":
                overrides["trading.max_leverage"] = str(number + 1)
            case _:
                write(f"{layer}.yaml", text)

    loaded = of(config_dir, environ, overrides=overrides)

    assert loaded.settings.trading.max_leverage == top + 1
    assert loaded.settings.environment.name == "paper"
    origin = {"secret": "secret file", "variable": "OMEGA_TRADING__MAX_LEVERAGE", "argument": "argument"}
    name = LAYERS[top]
    assert origin.get(name, f"{name}") in loaded.provenance["trading.max_leverage"]


@pytest.mark.req("0.36")
def test_unknown_key_names_file_line_and_the_nearest_name(config_dir: Path, write: Write) -> None:
    write("risk.yaml", "# limits\ntrading:\n  max_levrage: 2\n")

    with pytest.raises(ConfigError) as caught:
        of(config_dir)

    assert (
        "config/risk.yaml line 3: there is no setting trading.max_levrage (did you mean trading.max_leverage?)"
        in str(caught.value)
    )
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_unknown_section_key_finds_its_section(config_dir: Path, write: Write) -> None:
    write("risk.yaml", "max_order_notional: 2\n")

    with pytest.raises(
        ConfigError, match=r"line 1: there is no setting max_order_notional .*trading\.max_order_notional"
    ):
        of(config_dir)


@pytest.mark.req("0.36", "4.26")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trading:\n  max_leverage: '3'\n", "line 2: trading.max_leverage = 3: expected a whole number"),
        ("trading:\n  max_leverage: 99\n", "line 2: trading.max_leverage = 99: must be less than or equal to 20"),
        ("trading:\n  confirmed_limits: yes\n", "line 2: trading.confirmed_limits = yes: expected true or false"),
        ("gateway:\n  symbols: BTC\n", "line 2: gateway.symbols = BTC: expected a list"),
        ("gateway: 3\n", "line 1: gateway = 3: expected a section"),
        ("bots:\n  fib:\n    symbol: X\n", "line 2: bots.fib.strategy is missing"),
        ("bots:\n  Fib_1:\n    symbol: X\n    strategy: y\n", "must match pattern"),
        ("simulator:\n  keys:\n    - kee: x\n", "line 2: there is no setting simulator.keys.0.kee"),
        ("trading:\n  timeframe: 1y\n", "line 2: trading.timeframe = 1y"),
        ("gateway:\n  api_key: 12\n", "line 2: gateway.api_key: expected a text"),
    ],
)
def test_wrong_value_names_file_line_value_and_what_is_allowed(
    config_dir: Path, write: Write, text: str, words: str
) -> None:
    write("risk.yaml", text)

    with pytest.raises(ConfigError) as caught:
        of(config_dir)

    assert "config/risk.yaml line" in str(caught.value)
    assert words in str(caught.value)


def test_several_mistakes_are_named_together(config_dir: Path, write: Write) -> None:
    write("risk.yaml", "trading:\n  max_leverage: x\n  stale_bars: y\n")

    with pytest.raises(ConfigError, match=r"2 settings are wrong: .*line 2.*; .*line 3"):
        of(config_dir)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "trading:\n  mode: paper\n  mode: live\n",
            "line 3: the key mode stands here for the second time, first in line 2",
        ),
        ("trading:\n  a: [1\n", "is no YAML"),
        ("- 1\n", "line 1 is no mapping"),
        ("? [a]\n: 1\n", "line 1: a key must be a plain word"),
        ("trading: \ttab\n\t- x: [", "is no YAML"),
    ],
)
def test_broken_yaml_names_file_and_line(config_dir: Path, write: Write, text: str, words: str) -> None:
    write("risk.yaml", text)

    with pytest.raises(ConfigError, match=r"config/risk\.yaml") as caught:
        of(config_dir)

    assert words in str(caught.value)


def test_yaml_words_that_look_like_booleans_and_dates_stay_texts(config_dir: Path, write: Write) -> None:
    write("risk.yaml", "simulator:\n  limits: on\n  start: 2025-05-20T00:00:00Z\n  speed: 60\n")

    simulator = of(config_dir).settings.simulator

    assert (simulator.limits, simulator.start, simulator.speed) == ("on", "2025-05-20T00:00:00Z", "60")


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("OMEGA_TRADING__CAPITAL", "0.1", "trading.capital", Decimal("0.1")),
        ("OMEGA_TRADING__MODE", "shadow", "trading.mode", Mode.SHADOW),
        ("OMEGA_GATEWAY__SYMBOLS", "BTC-USDT.P, ETH-USDT.P", "gateway.symbols", ["BTC-USDT.P", "ETH-USDT.P"]),
        ("OMEGA_GATEWAY__SYMBOLS", "[SOL-USDT.P]", "gateway.symbols", ["SOL-USDT.P"]),
        ("OMEGA_TRADING__LIVE_ACCOUNTS", "main", "trading.live_accounts", ["main"]),
        ("OMEGA_MONITORING__LOG_LEVELS", "{omega.bus: debug}", "monitoring.log_levels", {"omega.bus": "debug"}),
        ("OMEGA_COSMIC__ENABLED", "true", "cosmic.enabled", True),
        ("OMEGA_DISCORD_BOT__GUILD_ID", "1104200000000000000", "discord_bot.guild_id", "1104200000000000000"),
        ("OMEGA_SIMULATOR__SPEED", "60", "simulator.speed", "60"),
        ("OMEGA_REDIS_URL", "redis://cache:1/0", "redis.url", "redis://cache:1/0"),
    ],
)
@pytest.mark.req("2.102")
def test_variable_is_read_as_its_field_wants(
    config_dir: Path, variable: str, text: str, path: str, value: object
) -> None:
    settings = of(config_dir, {variable: text}).settings

    section, _, name = path.partition(".")
    found = getattr(getattr(settings, section), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.req("3.14")
def test_variable_reaches_a_bots_parameter(config_dir: Path, write: Write) -> None:
    write("bots/a.yaml", "bots:\n  fib-btc:\n    strategy: s\n    symbol: BTC-USDT.P\n")

    settings = of(config_dir, {"OMEGA_BOTS__FIB_BTC__PARAMS__SPAN": "20", "OMEGA_BOTS__FIB_BTC__CAPITAL": "7"}).settings

    assert settings.bots["fib-btc"].params == {"span": 20}
    assert settings.bots["fib-btc"].capital == 7


def test_variable_that_is_no_setting_is_refused_by_name(config_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"OMEGA_TRADING__MOOD: there is no setting trading\.mood .*trading\.mode"):
        of(config_dir, {"OMEGA_TRADING__MOOD": "x", "OMEGA_GATEWAY_SERVICE_HOST": "kubernetes sets such"})


def test_numeric_secret_stays_a_text(config_dir: Path) -> None:
    assert of(config_dir, {"OMEGA_GATEWAY__API_KEY": "0123"}).settings.gateway.api_key.get_secret_value() == "0123"


@pytest.mark.req("2.11", "2.02", "2.03", "2.19", "1.65")
def test_secret_files_are_read_and_never_shown(config_dir: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, text in {"gateway__api_secret": "s3cr3t-value\n", "redis__password": "p@ss/word", "tls.crt": "x"}.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o440)

    loaded = of(config_dir, {"OMEGA_SECRETS_DIR": str(secrets)})

    assert loaded.settings.gateway.api_secret.get_secret_value() == "s3cr3t-value"
    assert loaded.settings.redis.url == "redis://:p%40ss%2Fword@127.0.0.1:6379/0"
    assert loaded.warnings == ()
    for text in (repr(loaded), str(loaded.settings), repr(loaded.settings.redis)):
        assert "s3cr3t" not in text
        assert "p%40ss" not in text


def test_secret_file_open_to_everybody_is_warned_of_and_refused_in_live(config_dir: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "gateway__api_key").write_text("k")
    (secrets / "gateway__api_key").chmod(0o644)
    environ = {"OMEGA_SECRETS_DIR": str(secrets)}

    assert "chmod o-rwx" in of(config_dir, environ).warnings[0]
    with pytest.raises(ConfigError, match="may be read by everybody"):
        of(config_dir, {**environ, "OMEGA_ENV": "live"})


def test_secret_file_of_an_unknown_setting_is_refused(config_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway__api_kee").write_text("k")

    with pytest.raises(ConfigError, match=r"secret file gateway__api_kee: .*did you mean gateway\.api_key"):
        of(config_dir, {"OMEGA_SECRETS_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OMEGA_ENV": "prod"}, "no environment 'prod'"),
        ({"OMEGA_LIVE_DIR": "/nowhere"}, "OMEGA_LIVE_DIR names /nowhere"),
        ({"OMEGA_SECRETS_DIR": "/nowhere"}, "OMEGA_SECRETS_DIR names /nowhere"),
    ],
)
def test_wrong_place_is_named(config_dir: Path, environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        of(config_dir, environ)


def test_directory_without_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no base\.yaml"):
        load(environ={"OMEGA_CONFIG_DIR": str(tmp_path)})


def test_generation_changes_with_a_value_and_only_then(config_dir: Path, write: Write) -> None:
    first = of(config_dir).generation

    assert of(config_dir).generation == first
    write("risk.yaml", "trading:\n  max_leverage: 2\n")
    assert of(config_dir).generation != first


@pytest.mark.parametrize(
    ("bot", "words"),
    [
        ("symbol: DOGE-USDT.P", r"bots\.x\.symbol is DOGE-USDT\.P, which the gateway does not publish"),
        ("symbol: BTC-USDT.P\n    timeframe: 5m", r"bots\.x wants 5m bars, which the gateway does not publish"),
    ],
)
def test_bot_on_what_nobody_publishes_is_refused(config_dir: Path, write: Write, bot: str, words: str) -> None:
    write("bots/x.yaml", f"bots:\n  x:\n    strategy: s\n    {bot}\n")

    with pytest.raises(ConfigError, match=words):
        of(config_dir)


def test_unreadable_file_is_named(config_dir: Path) -> None:
    (config_dir / "risk.yaml").write_bytes(b"trading:\n  venue: \xff\n")

    with pytest.raises(ConfigError, match=r"config/risk\.yaml cannot be read"):
        of(config_dir)


@pytest.mark.req("0.61")
def test_cosmic_file_of_the_seeds_is_understood(config_dir: Path, write: Write) -> None:
    write("cosmic.yaml", "cosmic_factors:\n  enabled: true\n  moon_phase:\n    enabled: true\n    weight: 0.5\n")

    cosmic = of(config_dir).settings.cosmic

    assert cosmic.enabled
    assert cosmic.factors["moon_phase"].weight == 0.5
