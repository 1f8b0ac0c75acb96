"""Ctrl-C waits for the end of a step, then comes; once, however steps are nested."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from omega.backtest.interrupt import whole_step


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
