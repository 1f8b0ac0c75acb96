"""Ctrl-C waits for the end of a step, then comes; once, however steps are nested."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.backtest.interrupt import whole_step

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def hearing() -> Iterator[None]:
    """Who runs the tests in the background may ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupt_comes_after_the_step_and_after_the_outer_one() -> None:
    done: list[str] = []

    def step() -> None:
        with whole_step():
            with whole_step():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        step()

    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_step_without_interrupt_leaves_everything_as_it_was() -> None:
    with whole_step():
        pass

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_step_in_another_thread_runs_as_it_is() -> None:
    done: list[bool] = []

    def run() -> None:
        with whole_step():
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)

    assert done == [True]


def test_second_interrupt_does_not_wait_even_in_a_nested_step() -> None:
    """Whoever presses twice is stuck in the step."""
    done: list[str] = []

    def step() -> None:
        with whole_step(), whole_step():
            signal.raise_signal(signal.SIGINT)
            done.append("first waits")
            signal.raise_signal(signal.SIGINT)
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        step()

    assert done == ["first waits"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ignored_interrupt_stays_ignored() -> None:
    """A job in the background ignores Ctrl-C before, inside and after a step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with whole_step():
        inside = signal.getsignal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    assert inside is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_handler_that_python_did_not_install_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be put back: Python knows it as None alone, as in a program that embeds it."""
    monkeypatch.setattr("omega.backtest.interrupt.signal.getsignal", lambda _number: None)
    done: list[str] = []

    def step() -> None:
        with whole_step():
            done.append("ran")
            signal.raise_signal(signal.SIGINT)
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        step()

    assert done == ["ran"]


_DEFAULT = """
import signal
from omega.backtest.interrupt import whole_step
signal.signal(signal.SIGINT, signal.SIG_DFL)
with whole_step():
    signal.raise_signal(signal.SIGINT)
    print("whole", flush=True)
print("never", flush=True)
"""


def test_system_default_ends_the_process_after_the_step() -> None:
    told = subprocess.run([sys.executable, "-c", _DEFAULT], capture_output=True, text=True, check=False, cwd=ROOT)

    assert told.stdout.split() == ["whole"]
    assert told.returncode == -signal.SIGINT
