"""A hostile stranger at the command line: every wrong word is refused at once, with what to do, in one paragraph.

In this process but for what only a process shows: a reader that goes away, a folder in which nothing can be written.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import typer

from omega.cli.app import build
from omega.errors import OmegaError
from omega.testing.commands import omega

TREE = typer.main.get_command(build())
ROOT = Path(__file__).resolve().parents[3]
BARS = ROOT / "data/candles/BTCUSDT-1m.parquet"
USAGE, ENVIRONMENT, FINDING = 2, 3, 1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a hand may pick by mistake, far from any farm."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "half.csv").write_text("ts,open\n1,2\n")
    (tmp_path / "noise.parquet").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMEGA_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def refused(words: str) -> tuple[int, str]:
    """Return the exit code and the words of a refusal."""
    told, arguments = io.StringIO(), [word.replace("BARS", str(BARS)) for word in shlex.split(words)]
    with redirect_stdout(told), redirect_stderr(told), pytest.raises((OmegaError, SystemExit)) as end:
        TREE.main(arguments, prog_name="omega")
    if isinstance(end.value, SystemExit):
        return int(end.value.code or 0), told.getvalue()
    assert "\n" not in str(end.value), "one paragraph"
    return end.value.exit_code, str(end.value)


HISTORY = [
    ("up --bots nobody", USAGE, "no bot is called nobody"),
    ("up --speed nan", USAGE, "number above 0"),
    ("up --start 2026-99-99", USAGE, "2026-99-99"),
    ("up --data folder", USAGE, "candles/"),
    ("up --record half.csv", ENVIRONMENT, "--record half.csv"),
    ("up --home half.csv", ENVIRONMENT, "half.csv"),
    ("backtest nobody", USAGE, "nobody"),
    ("backtest ema_cross --symbol NOPE", USAGE, "NOPE"),
    ("backtest ema_cross --data nowhere", USAGE, "no candle file nowhere"),
    ("backtest ema_cross --data folder", USAGE, "folder"),
    ("backtest ema_cross --data empty.csv", FINDING, "lacks the column"),
    ("backtest ema_cross --data noise.parquet", FINDING, "noise.parquet"),
    ("backtest ema_cross --data BARS --from yesterday", USAGE, "'yesterday' is no instant"),
    ("backtest ema_cross --data BARS --to 2025-05-05T04:00 --capital nan", USAGE, "capital of nan"),
    ("backtest ema_cross --data BARS --to 2025-05-05T04:00 --capital inf", USAGE, "capital of inf"),
    ("backtest ema_cross --data BARS --to 2025-05-05T04:00 --capital -5", USAGE, "capital of -5"),
    ("backtest ema_cross --data BARS --to 2025-05-05T04:00 --fees -1", USAGE, "taker fee of -1"),
    ("backtest ema_cross --data BARS --to 2025-05-05T04:00 --slippage nan", USAGE, "slippage of nan"),
    ("backtest ema_cross --data BARS --set fast=nan", USAGE, "fast = 'nan'"),
    ("backtest ema_cross --data BARS --set nope=1", USAGE, "'nope'"),
    ("backtest ema_cross --data BARS --feeds nowhere", USAGE, "--feeds nowhere"),
    ("backtest ema_cross --data BARS --report folder", USAGE, "must end in .html"),
    ("backtest ema_cross --data BARS --report /proc/x.html", ENVIRONMENT, "--report /proc/x.html"),
    ("backtest ema_cross --data BARS --leverage -1", USAGE, "--leverage"),
    ("sweep ema_cross --data BARS --out /proc/x.parquet", ENVIRONMENT, "--out /proc/x.parquet"),
    ("sweep ema_cross --data BARS --out folder", USAGE, "--out folder"),
    ("sweep ema_cross --data BARS --space fast=1:9:0", USAGE, "fast = 1"),
    ("analyze NOPE", USAGE, "NOPE"),
    ("analyze BTC-USDT.P nonsense", USAGE, "'nonsense'"),
    ("analyze BTC-USDT.P fib --data BARS --png /proc/x.png", ENVIRONMENT, "--png /proc/x.png"),
    ("check lookahead ema_cross --data half.csv", FINDING, "half.csv lacks the column"),
    ("experiment run folder", USAGE, "folder cannot be read"),
    ("experiment run broken.yaml", USAGE, "broken.yaml line 2"),
    ("replay nowhere.jsonl", USAGE, "there is no nowhere.jsonl"),
    ("data import noise.parquet --lake l --venue bitget --symbol BTC-USDT.P", FINDING, "noise.parquet"),
    ("data list --lake half.csv", USAGE, "half.csv"),
    ("cosmic at 1066-01-01", USAGE, "1066-01-01"),
    ("chaos run nope", USAGE, "'nope'"),
    ("new bot ../evil", USAGE, "'../evil'"),
]
FARM = [
    ("bot pause nobody", USAGE, "'nobody'"),
    ("bot pause fib-btc --all", USAGE, "one of the three"),
    ("bot pause -l nope=1", USAGE, "'nope=1'"),
    ("bot flatten --all", USAGE, "give --yes"),
    ("bot release", USAGE, "--reason"),
    ("bot list", ENVIRONMENT, "no Redis server"),
    ("trade adopt BTC-USDT.P --bot fib-btc --stop nan --reason x --yes", USAGE, "--stop 'nan'"),
    ("trade adopt BTC-USDT.P --bot fib-btc --stop -5 --reason x --yes", USAGE, "--stop '-5'"),
    ("trade adopt BTC-USDT.P --close --size inf --reason x --yes", USAGE, "--size 'inf'"),
    ("trade adopt BTC-USDT.P --bot nobody --stop 5 --reason x", USAGE, "'nobody'"),
    ("trade kill --flatten", USAGE, "give --yes"),
    ("risk what-if fib-btc --size nan", USAGE, "--size 'nan'"),
    ("risk what-if fib-btc --size 1 --price x", USAGE, "--price 'x'"),
    ("risk headroom --bot fib-btc --price 0", USAGE, "--price '0'"),
    ("risk limit nope 5 --reason x", USAGE, "'nope'"),
    ("risk limit leverage nan --reason x", USAGE, "'nan'"),
    ("risk halt --scope galaxy --reason x", USAGE, "'galaxy'"),
    ("topics drop-group a b", USAGE, "give --yes"),
    ("config check --dir nowhere", USAGE, "nowhere holds no base.yaml"),
    ("why x --database nonsense", USAGE, "database.url is no URL"),
    ("audit verify --database sqlite:///nowhere.db", USAGE, "there is no database nowhere.db"),
    ("ledger check --database sqlite:///noise.parquet", ENVIRONMENT, "is damaged"),
    ("dr drill folder", USAGE, "no backup in folder"),
]


@pytest.mark.parametrize(("words", "code", "said"), [*HISTORY, *FARM])
@pytest.mark.usefixtures("place")
def test_wrong_words_are_refused_with_what_to_do(words: str, code: int, said: str) -> None:
    found, told = refused(words)

    assert (found, said in " ".join(told.split())) == (code, True), told


def test_refused_command_leaves_nothing_behind(place: Path) -> None:
    before = sorted(place.rglob("*"))
    for words in ("backtest ema_cross --data BARS --report new/x.html --fees -1", "up --data folder"):
        refused(words)

    assert [path for path in sorted(place.rglob("*")) if path not in before] == []


def test_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    """`omega ... | head -1`: the command library has its own mind about it, and calls it 1."""
    ends = os.pipe()
    os.close(ends[0])
    done = subprocess.run(
        [sys.executable, "-m", "omega.cli", "config", "schema"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=ends[1],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(ends[1])

    assert (done.returncode, done.stderr) == (0, "")


def test_place_where_nothing_can_be_written_is_one_paragraph() -> None:
    done = omega(["up", "--bars", "1"], cwd=Path("/proc"), env={"PATH": "/usr/bin:/bin"})

    assert done.returncode == ENVIRONMENT
    assert done.stderr.startswith("omega: EnvironmentFault: No such file or directory: var")
    assert done.stderr.count("\n") == 1
