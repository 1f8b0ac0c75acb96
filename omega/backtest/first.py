"""How the loop over history is run: as machine code, or as its own text while none has been made. Called by backtest.

Compiling takes longer than a year of minutes takes uncompiled, and both give the same bits. So a machine's first run
of moderate length is not made to wait: the machine code is made for the next one, when this process is done.
"""

from __future__ import annotations

import atexit
import sys
from contextlib import suppress
from typing import Any, Final

import numpy as np

from omega.backtest.loop import play

MODERATE: Final = 1_000_000
"""Up to here running the text is the shorter way: half the time of compiling, measured on two processors."""

_PER_ENTRY: Final = 25
_PER_ROW: Final = 5
_worked: list[int] = []


def work_of(rows: int, entries: int, *, sparse: bool) -> int:
    """Return how long the text takes, in rows of a stretch in which nothing happens."""
    return rows + _PER_ENTRY * entries if sparse else _PER_ROW * rows


def run_loop(arguments: tuple[Any, ...], *, compiled: bool | None, work: int) -> None:
    """Run the loop over history.

    Args:
        arguments: of `play`.
        compiled: True waits for machine code, False runs the text, None takes what gives the first result sooner.
        work: see work_of.
    """
    if compiled is False:
        play(*arguments)
        return
    from omega.backtest.compile import NotCompiled, without_waiting
    from omega.backtest.compile import compiled as twin

    # Whoever runs one after the other is better served by machine code as soon as that was the shorter way.
    if compiled or sum(_worked) + work > MODERATE:
        twin(play)(*arguments)
        return
    try:
        with without_waiting():
            twin(play)(*arguments)
    except NotCompiled:
        with np.errstate(all="ignore"):  # as machine code does
            play(*arguments)
        if not _worked:
            atexit.register(compile_for_the_next)
        _worked.append(work)


def interpreted() -> bool:
    """Whether this process has run the text because there was no machine code."""
    return bool(_worked)


def compile_for_the_next() -> bool:
    """Start a process that compiles for the next one and outlives this; tell whether there was a need and a place."""
    import subprocess  # here, for the sake of all who need none

    from omega.backtest.compile import compiled as twin
    from omega.backtest.compile import lasting_folder

    made: Any = twin(play)
    if made.overloads or lasting_folder() is None:
        return False
    with suppress(OSError, RuntimeError):  # whatever hinders it, the next process can compile for itself
        subprocess.Popen(
            [sys.executable, "-m", "omega.backtest.warmth"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return True
    return False
