"""Compiled twins: where their code is kept, and that a twin calls twins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omega.backtest import compile as compiler
from omega.backtest.compile import cache_folder, compiled
from omega.backtest.pages import keep_pages
from omega.engine.fills import market_fill
from omega.engine.sizing import safe_leverage

QUIET = "import sys, omega.backtest, omega.backtest.run; assert not {'numba', 'pandas', 'pyarrow'} & set(sys.modules)"


def test_twin_of_a_kernel_function_gives_the_same_bits():
    twin = compiled(safe_leverage)

    assert twin(1, 100.0, 7.3, 20.0, 0.5, 0.0046) == safe_leverage(1, 100.0, 7.3, 20.0, 0.5, 0.0046)
    assert compiled(safe_leverage) is twin
    assert compiled(market_fill)(-1, 99.7, 0.0003) == market_fill(-1, 99.7, 0.0003)


def test_cache_folder_follows_the_environment_and_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    before = cache_folder()
    compiler._sources.cache_clear()
    monkeypatch.setattr(compiler, "_PACKAGES", ("omega/engine",))

    assert before.parent == tmp_path
    assert cache_folder().parent == tmp_path
    assert cache_folder() != before
    compiler._sources.cache_clear()


def test_cache_folder_that_cannot_be_written_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    taken = tmp_path / "file"
    taken.write_text("no folder")
    monkeypatch.setattr(compiler, "_homes", lambda: (taken, tmp_path / "second"))

    assert cache_folder().parent == tmp_path / "second"
    monkeypatch.setattr(compiler, "_homes", lambda: (taken,))
    assert cache_folder().name.startswith("omega-numba-")


def test_package_import_costs_no_research_library():
    """A bot container imports none of them."""
    subprocess.run([sys.executable, "-c", QUIET], check=True, timeout=60)


def test_keep_pages_answers_and_stays():
    assert keep_pages() is keep_pages()


def test_machine_code_on_the_disk_is_found_before_numba_prepares_to_compile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """What a process with a warm cache never needs costs a third of the time to its first result."""
    prepared: list[bool] = []
    monkeypatch.setattr(compiler._numba().core.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiler, "_prepare_to_compile", lambda: prepared.append(True))

    made, found = (compiler._twin(market_fill, keep=True)(1, 100.0, 0.001) for _ in range(2))

    assert made == found == market_fill(1, 100.0, 0.001)
    assert prepared == [True]
