"""A machine's first back-test: run as Python where nothing is compiled, and machine code made for the next one."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.backtest import compile as compiler
from omega.backtest import first, run, warmth
from omega.backtest.first import MODERATE, work_of
from omega.backtest.influences import Influences
from omega.backtest.run import backtest
from omega.backtest.types import Market
from omega.engine.bars import Bars
from omega.engine.fills import market_fill
from omega.engine.profile import Profile
from omega.plugins import parse_params, strategies

MINUTE_NS = 60_000_000_000
LONG_S = 60

FIRST_RUN = """
import sys
from omega.backtest import first
from tests.unit.backtest.test_first import result

was_first = result(None), first.interpreted()
sys.executable = {stand_in!r}
print(was_first[1], was_first[0].final_equity == result(False).final_equity)
"""


def result(compiled: bool | None, **more: Any) -> Any:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(5).normal(0.0, 0.002, 2_000)))
    bars = Bars.of(np.arange(1, 2_001) * MINUTE_NS, close, close * 1.001, close * 0.999, close, np.ones(2_000))
    strategies.discover()
    entry = strategies.get("ema_cross")
    params = parse_params(entry.params, {"fast": 5, "slow": 20, "target_pct": 0.02})
    return backtest(entry, params, Market("BTCUSDT", bars, MINUTE_NS), compiled=compiled, **more)


def test_first_run_does_not_wait_for_a_compiler_and_has_one_start_for_the_next(tmp_path: Path) -> None:
    stand_in, told = tmp_path / "python", tmp_path / "told"
    os.mkfifo(told)
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    stand_in.chmod(0o755)
    with os.fdopen(os.open(told, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
        ran = subprocess.run(
            [sys.executable, "-c", FIRST_RUN.format(stand_in=str(stand_in))],
            capture_output=True, text=True, check=True, timeout=LONG_S, cwd=Path(__file__).parents[3],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "empty")},
        )  # fmt: skip
        selector = selectors.DefaultSelector()
        selector.register(file, selectors.EVENT_READ)

        assert ran.stdout.split() == ["True", "True"]
        assert selector.select(LONG_S)
        assert file.read().split() == ["-m", "omega.backtest.warmth"]


def test_whoever_compiles_already_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with (compiler.cache_folder() / "warmth.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        subprocess.run([sys.executable, "-m", "omega.backtest.warmth"], check=True, timeout=LONG_S)

    assert not list(tmp_path.rglob("*.nbi"))


def test_what_is_compiled_beforehand_is_what_a_backtest_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code is kept by the types of its arguments: other ones, and the first user would compile after all."""
    seen: list[tuple[Any, ...]] = []
    typeof = compiler._numba().typeof
    monkeypatch.setattr(run, "run_loop", lambda given, **_: seen.append(tuple(str(typeof(one)) for one in given)))

    warmth.exercise()
    result(None)
    result(None, influences=Influences(profile=Profile()))

    assert seen[:2] == seen[2:]


def test_nothing_of_a_function_runs_where_nobody_waits_for_its_machine_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiler._numba().core.config, "CACHE_DIR", str(tmp_path))
    twin = compiler._twin(market_fill, keep=True)

    with compiler.without_waiting(), pytest.raises(compiler.NotCompiled):
        twin(1, 100.0, 0.001)

    assert twin(1, 100.0, 0.001) == market_fill(1, 100.0, 0.001)


def test_no_process_is_started_where_its_work_would_be_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("no folder")
    monkeypatch.setattr(compiler, "_homes", lambda: (taken,))

    assert not first.compile_for_the_next()


def test_long_history_is_worth_the_wait() -> None:
    year, decade = 525_600, 5_256_000

    assert work_of(year, 10_000, sparse=True) < MODERATE < work_of(decade, 100_000, sparse=True)
    assert work_of(year, 10_000, sparse=False) > MODERATE
