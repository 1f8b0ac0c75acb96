"""`omega check` in this process: what it prints, and with which code it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from omega.cli.check import app
from omega.engine import Bars, Signals
from omega.errors import ConfigError
from omega.plugins import strategies

from .conftest import ROOT

FILE = str(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet")


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMEGA_CONFIG_DIR", str(ROOT / "config"))


def call(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(args))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.fixture
def peeking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ema_cross read one bar ahead."""
    strategies.discover()
    entry = strategies.get("ema_cross")

    def signals(bars: Bars, params: Any) -> Signals:
        made: Signals = entry.signals(bars, params)
        side = np.zeros_like(made.side)
        side[:-1] = made.side[1:]
        return replace(made, side=side)

    monkeypatch.setitem(strategies._entries, "ema_cross", replace(entry, signals=signals))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ema_cross start when its slow average is barely there."""
    strategies.discover()
    entry = strategies.get("ema_cross")
    monkeypatch.setitem(strategies._entries, "ema_cross", replace(entry, warmup=lambda p: p.slow))


@pytest.mark.parametrize("check", ["lookahead", "recursion"])
def test_check_of_every_bot_is_clean_and_ends_with_0(check: str) -> None:
    code, text = call(check, "all", "--bars", "6000", "--json")
    outcome = json.loads(text)

    assert (code, outcome["ok"]) == (0, True)
    assert len(outcome["checks"]) >= 5
    assert {one["check"] for one in outcome["checks"]} == {check}


def test_check_in_words_names_bot_strategy_and_verdict() -> None:
    code, text = call("recursion", "ema-btc", "--data", FILE, "--bars", "6000", "--window", "1000")

    assert code == 0
    assert "ema-btc (ema_cross), 6,000 bars" in text
    assert "more history changes nothing" in text


def test_check_lookahead_of_a_peeking_bot_names_row_and_column_and_ends_with_1(peeking: None) -> None:
    code, text = call("lookahead", "ema-btc", "--data", FILE, "--bars", "6000")
    coded, json_text = call("lookahead", "ema-btc", "--data", FILE, "--bars", "6000", "--json")
    outcome = json.loads(json_text)

    assert (code, coded) == (1, 1)
    assert "LOOKS AHEAD; it reads 1 bars ahead" in text
    assert f"row {outcome['finding']['row']} at {outcome['finding']['time']}, column side" in text
    assert outcome["reads_ahead_bars"] == 1


def test_check_recursion_of_a_short_warm_up_ends_with_1_and_tells_the_enough(hasty: None) -> None:
    code, text = call("recursion", "ema-btc", "--data", FILE, "--bars", "6000")

    assert code == 1
    assert "DEPENDS ON OLDER BARS" in text
    assert "bars are enough" in text


def test_check_from_an_instant_begins_there() -> None:
    _, text = call("lookahead", "ema-btc", "--data", FILE, "--from", "2025-05-20T00:00:00Z", "--bars", "3000", "--json")

    assert json.loads(text)["bars"] == 3_000


def test_check_parity_of_a_session_of_another_bot_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="cannot read the session"):
        call("parity", "ema-btc", "--session", str(tmp_path / "none"))


def test_check_on_a_symbol_without_candles_is_refused() -> None:
    with pytest.raises(ConfigError):
        call("lookahead", "ema-btc", "--symbol", "XRP-USDT.P")
