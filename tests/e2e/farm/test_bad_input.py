"""Bad input: one paragraph that says what to do, the exit status of the design, and nothing half done."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[3]
Omega = Callable[..., subprocess.CompletedProcess[str]]
USAGE, ENVIRONMENT = 2, 3


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One paragraph on stderr, no traceback, nothing on stdout, the right exit status."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert not done.stdout.strip()
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("omega: "), done.stderr
    assert sum(line.startswith("omega: ") for line in lines) == 1, done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of the configuration to spoil."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path / "config"


def test_up_unknown_config_key_names_file_line_and_nearest(omega: Omega, config: Path) -> None:
    path = config / "base.yaml"
    path.write_text(path.read_text() + "\nledger:\n  bacth: 3\n")

    done = omega("up", "--bars", "1", OMEGA_CONFIG_DIR=str(config))

    refused(done, USAGE, "base.yaml", "bacth", "batch")


def test_up_unknown_bot_lists_the_known_ones(omega: Omega) -> None:
    refused(omega("up", "--bots", "nobody"), USAGE, "nobody", "fib-btc")


def test_up_unknown_speed_says_what_to_write(omega: Omega) -> None:
    refused(omega("up", "--speed", "fast"), USAGE, "lockstep")


@pytest.mark.slow
def test_up_wrong_symbol_names_it_and_the_known_ones(omega: Omega, config: Path) -> None:
    for path in (config / "bots").glob("*.yaml"):
        path.write_text(path.read_text().replace("BTC-USDT.P", "DOGE-USDT.P"))

    done = omega("up", "--bars", "1", "--speed", "lockstep", OMEGA_CONFIG_DIR=str(config))

    refused(done, USAGE, "DOGE-USDT.P", "BTC-USDT.P")


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    """A copy of the recorded candles to spoil."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    return tmp_path / "data" / "candles" / "BTCUSDT-1m.parquet"


@pytest.mark.slow
def test_up_broken_candle_file_names_row_and_column(cold_omega: Omega, candles: Path) -> None:
    """What the simulator says is what the person reads."""
    table = pq.read_table(candles)
    values = table.column("high").to_pylist()
    values[500] = float("nan")
    pq.write_table(table.set_column(table.schema.get_field_index("high"), "high", pa.array(values)), candles)

    options = ("--bars", "1", "--speed", "lockstep", "--bots", "ema-btc", "--data", str(candles.parents[1]))
    done = cold_omega("up", *options)

    refused(done, USAGE, "BTCUSDT-1m.parquet", "row 501, column high", "simulator cannot start")


def test_simulator_gap_in_the_candles_names_row_and_column(candles: Path) -> None:
    table = pq.read_table(candles)
    pq.write_table(pa.concat_tables([table.slice(0, 500), table.slice(510)]), candles)

    done = subprocess.run(
        [sys.executable, "-m", "services.simulator", "--port", "0", "--data", str(candles.parents[1])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == USAGE, done.stderr
    assert "BTCUSDT-1m.parquet" in done.stderr
    assert "row 501, column ts" in done.stderr
    assert "Traceback" not in done.stderr


def test_up_redis_that_does_not_answer_says_what_to_do(omega: Omega) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"redis://:secret-word@127.0.0.1:{closed.getsockname()[1]}/0"
        done = omega("up", "--bars", "1", OMEGA_REDIS_URL=url)

    refused(done, ENVIRONMENT, "127.0.0.1")
    assert "secret-word" not in done.stderr


def test_up_live_mode_without_switches_is_refused(omega: Omega) -> None:
    done = omega("up", "--bars", "1", OMEGA_ENV="live", OMEGA_TRADING__MODE="live")

    refused(done, USAGE, "live_accounts", "confirmed_limits")


def test_up_unwritable_home_says_so(omega: Omega, tmp_path: Path) -> None:
    """A home that cannot be written is found before anything is started."""
    (tmp_path / "file").write_text("in the way")

    refused(omega("up", "--bars", "1", "--home", str(tmp_path / "file" / "run")), ENVIRONMENT, "cannot write")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; only the administrator may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here, the disk-full case is not run: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


@pytest.mark.parametrize(("filled", "words"), [(False, "MB left"), (True, "cannot write")])
def test_up_disk_full_says_so_before_anything_runs(omega: Omega, tiny_disk: Path, filled: bool, words: str) -> None:
    if filled:
        with contextlib.suppress(OSError):
            (tiny_disk / "ballast").write_bytes(b"x" * 2_000_000)

    done = omega("up", "--bars", "1", "--home", str(tiny_disk))

    refused(done, ENVIRONMENT, words, "--home")
    assert not list(tiny_disk.glob("*.log"))
