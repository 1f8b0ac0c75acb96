"""`omega backtest` called in this process: what each option does, and what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from pyarrow import csv
from typer.testing import CliRunner, Result

from omega.cli import backtest as command
from omega.errors import ConfigError, CorruptData, EnvironmentFault, OmegaError
from omega.research.trials import TrialLedger

pytestmark = pytest.mark.req("0.34")

ROOT = Path(__file__).resolve().parents[3]
SHORT = ("--from", "2025-05-05", "--to", "2025-05-07")
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trial ledger of this test alone, and the project's configuration."""
    monkeypatch.setenv("OMEGA_TRIALS_DB", str(tmp_path / "trials.db"))
    monkeypatch.setenv("OMEGA_CONFIG_DIR", str(ROOT / "config"))
    monkeypatch.setattr("omega.backtest.run.backtest.__kwdefaults__", _uncompiled())
    return tmp_path / "trials.db"


def _uncompiled() -> dict[str, Any]:
    """Run the kernel's text in Python: the result is the same to the bit, and nothing is compiled for a test."""
    from omega.backtest.run import backtest

    return {**(backtest.__kwdefaults__ or {}), "compiled": False}


def invoke(*args: str) -> Result:
    app = typer.Typer()
    app.command()(command.backtest)
    return CliRunner().invoke(app, [*args, "--json"])


@pytest.fixture
def run(ledger: Path) -> Run:
    """Call the command and read its JSON; errors of the farm come out as they are."""

    def call(*args: str) -> dict[str, Any]:
        done = invoke(*args)
        if isinstance(done.exception, OmegaError):
            raise done.exception
        assert done.exit_code == 0, done.output
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    return call


# ---- what it answers


def test_backtest_json_has_what_scripts_read(run: Run) -> None:
    found = run("ema_cross", *SHORT)

    promised = {"bars", "trades", "final_equity", "elapsed_s", "bars_per_s", "metrics", "data_hash"}
    assert promised <= set(found)
    assert (found["bars"], found["strategy"], found["symbols"]) == (2_880, "ema_cross", ["BTC-USDT.P"])
    assert found["trades"] == found["metrics"]["trades"] > 0
    assert found["final_equity"] == found["metrics"]["final_equity"]
    assert len(found["data_hash"]) == 64


@pytest.mark.req("4.78")
def test_backtest_run_again_with_the_same_hash_gives_the_same_result(run: Run) -> None:
    one, other = run("fib-btc", *SHORT), run("fib-btc", *SHORT)

    assert one["data_hash"] == other["data_hash"]
    assert one["metrics"] == other["metrics"]
    assert run("fib-btc", "--from", "2025-05-06", "--to", "2025-05-07")["data_hash"] != one["data_hash"]


def test_backtest_of_a_bot_uses_its_own_money_and_of_a_strategy_ten_thousand(run: Run) -> None:
    assert run("ema-btc", *SHORT)["capital"] == 1_000.0
    assert run("ema_cross", *SHORT)["capital"] == 10_000.0
    assert run("ema-btc", *SHORT, "--capital", "500")["capital"] == 500.0


def test_backtest_set_is_typed_by_the_declaration(run: Run) -> None:
    params = run("ema_cross", *SHORT, "--set", "fast=5", "--set", "stop_pct=0.01", "--set", "sizing=full")["params"]

    assert (params["fast"], params["stop_pct"], params["sizing"]) == (5, 0.01, "full")
    assert isinstance(params["fast"], int)


def test_backtest_costs_are_charged_as_asked(run: Run) -> None:
    free = run("ema_cross", *SHORT, "--fees", "0")
    dear = run("ema_cross", *SHORT, "--fees", "0.001", "--slippage", "0.0005")

    assert free["metrics"]["fees"] == 0.0
    assert dear["metrics"]["fees"] > 0.0
    assert dear["final_equity"] < free["final_equity"]
    assert not any("slippage" in text for text in dear["cautions"])


def test_backtest_funding_is_charged_from_the_file(run: Run, tmp_path: Path) -> None:
    rates = tmp_path / "BTCUSDT-8h.csv"
    hours = range(1_746_403_200_000, 1_746_576_000_000 + 1, 8 * 3_600_000)
    rates.write_text("ts,funding_rate\n" + "".join(f"{ts},0.01\n" for ts in hours))

    with_it, without = run("ema_cross", *SHORT, "--funding", str(rates)), run("ema_cross", *SHORT)

    assert without["metrics"]["funding"] == 0.0
    assert with_it["metrics"]["funding"] < 0.0


def test_backtest_timeframe_is_made_of_lower_bars(run: Run) -> None:
    found = run("ema_cross", *SHORT, "--timeframe", "15m")

    assert (found["timeframe"], found["bars"]) == ("15m", 192)


def test_backtest_of_two_symbols_is_one_portfolio(run: Run) -> None:
    found = run("ema_cross", *SHORT, "--symbol", "BTC-USDT.P,ETH-USDT.P")

    assert (found["symbols"], found["bars"]) == (["BTC-USDT.P", "ETH-USDT.P"], 5_760)


def test_backtest_of_a_csv_file_of_ones_own_needs_no_names(run: Run, tmp_path: Path) -> None:
    rows = ["ts,open,high,low,close,volume"]
    rows += [f"{1_735_689_600_000 + 60_000 * k},{100 + k},{101 + k},{99 + k},{100.5 + k},1" for k in range(700)]
    file = tmp_path / "MYCOIN-1m.csv"
    file.write_text("\n".join(rows) + "\n")

    found = run("ema_cross", "--data", str(file))

    assert (found["symbols"], found["bars"]) == (["MYCOIN"], 700)


def test_backtest_influences_are_named_in_the_settings(run: Run) -> None:
    found = run("ema_cross", *SHORT, "--psychology", "strategic", "--cosmic", "only_moon_phase")

    assert found["settings"]["influences"]["psychology"] == "strategic"
    assert found["settings"]["influences"]["cosmic"] == "only_moon_phase"


def test_backtest_files_hold_the_same_trades(run: Run, tmp_path: Path) -> None:
    wanted = {name: str(tmp_path / name) for name in ("t.parquet", "t.csv", "r.html", "p.png")}
    found = run("ema_cross", *SHORT, "--trades", wanted["t.parquet"], "--report", wanted["r.html"],
                "--png", wanted["p.png"])  # fmt: skip
    run("ema_cross", *SHORT, "--trades", wanted["t.csv"])

    table = pq.read_table(wanted["t.parquet"])

    assert table.num_rows == found["metrics"]["legs"]
    assert sum(table["pnl"].to_pylist()) == pytest.approx(found["metrics"]["pnl"])
    assert set(table["symbol"].to_pylist()) == {"BTC-USDT.P"}
    assert set(table["exit_kind"].to_pylist()) <= {"signal", "stop", "target", "end", "reversed"}
    assert json.loads(table.schema.metadata[b"omega"])["data_hash"] == found["data_hash"]
    assert csv.read_csv(wanted["t.csv"])["pnl"].to_pylist() == pytest.approx(table["pnl"].to_pylist())
    assert (tmp_path / "r.html").stat().st_size > 50_000
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert found["files"] == {"report": wanted["r.html"], "png": wanted["p.png"], "trades": wanted["t.parquet"]}


def test_backtest_counts_each_distinct_trial_once(run: Run, ledger: Path) -> None:
    counts = [run("ema_cross", *SHORT, "--set", f"fast={fast}")["trials"] for fast in (5, 6, 6)]

    with TrialLedger(ledger) as kept:
        trials = kept.trials("ema_cross")
    assert counts == [1, 2, 2]
    assert trials[0].params["fast"] == 6
    assert trials[0].sharpe is not None


def test_backtest_without_a_ledger_still_answers_and_says_so(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OMEGA_TRIALS_DB", str(tmp_path / "file" / "trials.db"))

    done = invoke("ema_cross", *SHORT)

    assert (done.exit_code, json.loads(done.stdout)["trials"]) == (0, None)
    assert "this trial was not counted" in done.stderr


# ---- what it refuses


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("emacross",), "ema_cross"),
        (("positions",), "only reads"),
        (("ema_cross", "--set", "fats=8"), "did you mean 'fast'"),
        (("ema_cross", "--set", "fast"), "KEY=VALUE"),
        (("ema_cross", "--set", "fast=1"), "lies outside 2 to 100 bars"),
        (("ema_cross", "--set", "fast=quick"), "fast = 'quick' is no integer"),
        (("ema_cross", "--sizing", "huge"), "risk, full, all_in"),
        (("ema_cross", "--fees", "6"), "fraction"),
        (("ema_cross", "--capital", "0"), "more than 0"),
        (("ema_cross", "--report", "out.pdf"), ".html"),
        (("ema_cross", "--png", "out.jpg"), ".png"),
        (("ema_cross", "--trades", "out.xls"), ".parquet or .csv"),
        (("ema_cross", "--symbol", "DOGE-USDT.P"), "DOGEUSDT"),
        (("ema_cross", "--from", "2031-01-01"), "2031"),
        (("ema_cross", "--from", "yesterday"), "yesterday"),
        (("ema_cross", "--timeframe", "1x"), "1x"),
        (("ema_cross", "--data", "/nowhere/at/all"), "/nowhere/at/all"),
        (("ema_cross", "--psychology", "brave"), "brave"),
        (("ema_cross", "--cosmic", "astrology"), "astrology"),
        (("fib-btc,ema-btc",), "one of them"),
    ],
)
def test_backtest_refuses_what_cannot_be_meant_with_the_next_step(args: tuple[str, ...], words: str, run: Run) -> None:
    with pytest.raises(ConfigError) as refused:
        run(*args)

    assert words in str(refused.value)
    assert refused.value.exit_code == 2


def test_backtest_of_a_broken_file_names_row_and_column(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "BAD-1m.csv"
    file.write_text("ts,open,high,low,close,volume\n1735689600000,1,2,1,1,1\n1735689660000,1,2,1,x,1\n")

    with pytest.raises(CorruptData) as refused:
        run("ema_cross", "--data", str(file))

    assert "close" in str(refused.value)
    assert "3" in str(refused.value)


def test_backtest_that_cannot_write_its_report_is_a_fault_of_the_machine(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentFault) as refused:
        run("ema_cross", *SHORT, "--report", str(tmp_path / "file" / "r.html"))

    assert refused.value.exit_code == 3
