"""`omega config`, `topics`, `bot` and `doctor` as processes, against a real server: output and exit codes.

One call of each group starts as a person's does (`cold_omega`), the others fork from a warm one.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from omega.bus import RedisBus, connect
from omega.bus.instruments import keep_instrument
from omega.cli.telling import over_bus
from omega.config import Settings
from omega.domain import Instrument, Kind, Symbol, VenueName
from omega.errors import EnvironmentFault
from omega.testing.bus_contract import decision, intent
from omega.testing.servers import ValkeyServer
from omega.testing.service_contract import eventually
from services.runner.service import RunnerService

from .conftest import ROOT, Omega

FINE, FINDING, USAGE, ENVIRONMENT = 0, 1, 2, 3
SECRET = "correct-horse-battery"
BTC = Instrument(
    symbol=Symbol("BTC-USDT.P"),
    venue=VenueName("bitget"),
    venue_symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.1"),
    size_step=Decimal("0.0001"),
    min_size=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=125,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)


@pytest.fixture
async def bus(server: ValkeyServer) -> AsyncIterator[RedisBus]:
    """A bus on an empty server."""
    server.command("FLUSHALL")
    made = connect(server.url, env="dev", source="test/1")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def runner(bus: RedisBus, server: ValkeyServer) -> AsyncIterator[RunnerService]:
    """A real bot on that server."""
    settings = Settings.model_validate(
        {
            "environment": {"instance": "runner-fib-btc"},
            "monitoring": {"drain_s": 3.0},
            "runner": {"bot": "fib-btc", "status_s": 0.2},
            "bots": {"fib-btc": {"strategy": "strategic_fibonacci", "symbol": "BTC-USDT.P", "psychology": "newbie"}},
        }
    )
    await keep_instrument(bus, BTC)
    service = RunnerService(settings=settings, bus=connect(server.url, env="dev", source="runner/fib-btc"))
    await service.initialize()
    await service.start()
    await eventually(lambda: service.ready, what="the runner")
    yield service
    await service.shutdown()


# ---- omega config


@pytest.mark.parametrize("env", ["dev", "paper"])
def test_config_check_shipped_configuration_is_fine(env: str, cold_omega: Omega) -> None:
    done = cold_omega("config", "check", "--env", env, "--json")

    assert (done.returncode, json.loads(done.stdout)["fine"]) == (FINE, True), done.stderr


def test_config_check_live_needs_the_switches_that_only_a_person_sets(omega: Omega) -> None:
    done = omega("config", "check", "--env", "live", "--json")

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "live_accounts" in done.stderr
    assert "confirmed_limits" in done.stderr


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("base.yaml", "\nledger:\n  bacth: 3\n", ("base.yaml", "bacth", "batch")),
        ("bots/ema_cross.yaml", "    params: {fats: 3}\n", ("bots.ema-btc.params", "fats", "fast")),
        ("risk.yaml", "\n  - no: [yaml\n", ("risk.yaml",)),
    ],
)
def test_config_check_fault_names_the_place_and_exits_2(
    path: str, text: str, words: tuple[str, ...], omega: Omega, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    file = tmp_path / "config" / path
    file.write_text(file.read_text() + text)

    done = omega("config", "check", "--dir", str(tmp_path / "config"))

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


@pytest.mark.parametrize("arguments", [("config", "show"), ("config", "show", "--json"), ("config", "check")])
def test_config_secrets_are_masked(arguments: tuple[str, ...], omega: Omega, tmp_path: Path) -> None:
    """From a variable, from a file and inside a URL."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "gateway__api_secret").write_text(SECRET + "-file\n")
    done = omega(
        *arguments,
        OMEGA_SECRETS_DIR=str(folder),
        OMEGA_GATEWAY__PASSPHRASE=SECRET,
        OMEGA_DISCORD_BOT__TOKEN=SECRET + "-token",
        OMEGA_REDIS_URL=f"redis://bot:{SECRET}@127.0.0.1:6379/0",
    )

    assert done.returncode == FINE, done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_config_show_says_where_a_value_comes_from(omega: Omega) -> None:
    shown = json.loads(omega("config", "show", "--json", OMEGA_TRADING__CAPITAL="777").stdout)["settings"]

    assert shown["trading.capital"]["value"] == "777"
    assert "OMEGA_TRADING__CAPITAL" in shown["trading.capital"]["origin"]
    assert "base.yaml" in shown["trading.venue"]["origin"]
    assert shown["runner.window"]["unit"] == "bars"


def test_config_schema_is_a_json_schema_that_knows_the_shipped_file(omega: Omega) -> None:
    schema = json.loads(omega("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)

    assert list(check.iter_errors(yaml.safe_load((ROOT / "config/base.yaml").read_text()))) == []
    assert list(check.iter_errors({"ledger": {"bacth": 3}}))


# ---- omega topics


async def call(omega: Omega, server: ValkeyServer, *arguments: str, **env: str) -> Any:
    """Run the command beside the event loop of the test."""
    return await asyncio.to_thread(omega, *arguments, OMEGA_REDIS_URL=server.url, **env)


async def test_topics_list_and_tail_show_what_is_on_the_bus(bus: RedisBus, server: ValkeyServer, omega: Omega) -> None:
    await bus.send_many([decision("xyko", number) for number in range(5)])
    await bus.send(intent(1))

    listed = await call(omega, server, "topics", "list", "--json")
    some = await call(omega, server, "topics", "list", "--match", "*evt*")
    tailed = await call(omega, server, "topics", "tail", "dev:evt:decision:xyko", "--count", "2")

    assert {row["topic"]: row["entries"] for row in json.loads(listed.stdout)} == {
        "dev:evt:decision:xyko": 5,
        "dev:intent:bitget:main:xyko:lo": 1,
    }
    assert some.stdout.startswith("dev:evt:decision")
    assert "intent" not in some.stdout
    shown = [json.loads(line) for line in tailed.stdout.splitlines()]
    assert [row["data"]["decision"]["bar_ts_ns"] for row in shown] == [3, 4]


async def test_topics_doctor_exit_code_tells_bad_from_fine(
    bus: RedisBus, server: ValkeyServer, cold_omega: Omega
) -> None:
    await bus.send(decision("xyko", 1))
    fine = await call(cold_omega, server, "topics", "doctor", "--json")
    await bus.send(intent(1))
    bad = await call(cold_omega, server, "topics", "doctor")

    assert (fine.returncode, [row["level"] for row in json.loads(fine.stdout)]) == (FINE, ["ok"])
    assert bad.returncode == FINDING
    assert "no group gateway" in bad.stdout
    assert "start the gateway" in bad.stdout


async def test_topics_replay_brings_dead_letters_back(bus: RedisBus, server: ValkeyServer, omega: Omega) -> None:
    await bus.send(decision("xyko", 1))
    topic = bus.topics.decisions("xyko")
    ((entry_id, fields),) = await bus.redis.xrange(topic)
    letter = {"stream": topic, "group": "ledger", "entry": entry_id, "reason": "x", "attempts": 5, "m": fields[b"m"]}
    await bus.redis.xadd(bus.topics.dead_letters(topic), letter)

    first = await call(omega, server, "topics", "replay", topic, "--json")
    second = await call(omega, server, "topics", "replay", topic)

    assert (first.returncode, json.loads(first.stdout)) == (FINE, {"replayed": 1})
    assert second.stdout.startswith("0 dead letters")
    assert len(await bus.history(topic)) == 2


async def test_service_that_does_not_answer_is_a_matter_of_the_environment(server: ValkeyServer) -> None:
    """Not a finding: the question was never judged."""
    settings = Settings.model_validate({"redis": {"url": server.url}})
    with pytest.raises(EnvironmentFault, match="gateway did not answer") as caught:
        await over_bus(settings, lambda bus: bus.ask("gateway", "risk.show", within_ns=10_000_000))

    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "arguments", [("topics", "list"), ("topics", "doctor"), ("bot", "list"), ("bot", "pause", "fib-btc")]
)
def test_server_that_is_not_there_exits_3_without_its_password(arguments: tuple[str, ...], omega: Omega) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"redis://:{SECRET}@127.0.0.1:{closed.getsockname()[1]}/0"
        done = omega(*arguments, OMEGA_REDIS_URL=url)

    assert done.returncode == ENVIRONMENT, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("omega: ")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


# ---- omega bot


async def test_bot_list_pause_and_resume_reach_a_real_bot(
    runner: RunnerService, server: ValkeyServer, omega: Omega, cold_omega: Omega
) -> None:
    paused = await call(cold_omega, server, "bot", "pause", "fib-btc", "--reason", "news")
    listed = await call(omega, server, "bot", "list", "--json")
    resumed = await call(omega, server, "bot", "resume", "fib-btc")
    pretty = await call(omega, server, "bot", "list")

    assert (paused.returncode, paused.stdout) == (FINE, "fib-btc: applied: no entries; exits and stops go on\n")
    (row,) = json.loads(listed.stdout)
    assert (row["bot"], row["state"], row["strategy"], row["mode"]) == (
        "fib-btc",
        "paused",
        "strategic_fibonacci",
        "paper",
    )
    assert resumed.stdout.startswith("fib-btc: applied")
    assert "trading" in pretty.stdout
    assert runner.readiness()[0]


@pytest.mark.req("0.15")
async def test_bot_mood_stir_and_calm_reach_a_real_bot(
    runner: RunnerService, server: ValkeyServer, omega: Omega
) -> None:
    stirred = await call(omega, server, "bot", "stir", "fib-btc", "--event", "black_swan_event")
    shown = await call(omega, server, "bot", "mood", "fib-btc", "--json")
    unknown = await call(omega, server, "bot", "stir", "fib-btc", "--event", "meteor")
    calmed = await call(omega, server, "bot", "calm", "--all")
    pretty = await call(omega, server, "bot", "mood")

    assert (stirred.returncode, stirred.stdout) == (
        FINE,
        "fib-btc: applied: the trader has heard of black_swan_event\n",
    )
    mind = json.loads(shown.stdout)["fib-btc"]
    assert (mind["profile"], mind["emotion"], mind["live"]) == ("newbie", "panic", False)
    assert unknown.returncode == USAGE
    assert "crypto_hack" in unknown.stderr
    assert "the state of mind begins anew" in calmed.stdout
    assert "newbie" in pretty.stdout
    assert "neutral" in pretty.stdout
    assert runner.bot.state.temper.mind == runner.bot.state.temper.first_mind


async def test_bot_nobody_answers_exits_1_and_the_command_is_kept(
    bus: RedisBus, server: ValkeyServer, omega: Omega
) -> None:
    listed = await call(omega, server, "bot", "list")
    as_json = await call(omega, server, "bot", "list", "--json")
    paused = await call(omega, server, "bot", "pause", "fib-btc")

    assert (listed.returncode, as_json.returncode, paused.returncode) == (FINDING, FINDING, FINDING)
    assert (listed.stdout, as_json.stdout.strip()) == ("", "[]")
    assert "OMEGA_REDIS_URL" in listed.stderr
    assert "kept" in paused.stdout
    (kept,) = await bus.history(bus.topics.control("fib-btc"))
    assert kept.envelope.data.verb == "pause"


@pytest.mark.parametrize(
    ("arguments", "words"), [(("bot", "pause", "nobody"), "fib-btc"), (("bot", "release"), "--reason")]
)
def test_bot_wrong_words_exit_2(arguments: tuple[str, ...], words: str, omega: Omega) -> None:
    done = omega(*arguments)

    assert done.returncode == USAGE
    assert words in done.stderr


# ---- omega doctor


def test_doctor_sound_machine_has_everything_it_needs(cold_omega: Omega) -> None:
    done = cold_omega("doctor", "--json")
    rows = json.loads(done.stdout)

    assert done.returncode == FINE, [row for row in rows if row["needed"] and not row["fine"]]
    assert {"python", "disk", "loopback", "configuration", "package ccxt"} <= {row["what"] for row in rows}
    assert all(row["advice"] for row in rows if not row["fine"])


def test_doctor_broken_configuration_exits_1_and_says_what(omega: Omega, tmp_path: Path) -> None:
    done = omega("doctor", OMEGA_CONFIG_DIR=str(tmp_path / "nowhere"))

    assert done.returncode == FINDING
    assert "FAIL configuration" in done.stdout
    assert "nowhere" in done.stdout
