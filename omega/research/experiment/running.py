"""Runs the cells of a plan over worker processes and keeps each one the moment it is finished.

Called by `omega experiment run`. Workers die with the process that started them, however it dies.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from omega.errors import EnvironmentFault
from omega.research.experiment.arena import Arena
from omega.research.experiment.cells import Cell, Evaluate, Outcome
from omega.research.experiment.plan import Plan, digest
from omega.research.experiment.store import CellStore

_WATCH_S: Final = 1.0
_AHEAD: Final = 3
"""Cells that wait at each worker: enough to keep it busy, few enough to stop soon."""
_arena: Arena | None = None
Progress = Callable[[int, int], None]


def fingerprints(arena: Arena, cells: list[Cell]) -> dict[Cell, str]:
    """Return the hash of everything that decides the outcome of each cell: plan, data and code."""
    registered, code, data = arena.plan.registered(), code_hash(arena), arena.data_hash
    common = {
        key: registered[key] for key in ("params", "rules", "data", "folds", "trading", "placebos", "seed", "bot")
    }
    numbers = list(arena.plan.arms)
    tuning = [registered["metric"], registered["direction"]] if arena.plan.folds.tune else []
    return {
        cell: digest([common, tuning, registered["arms"][cell.arm], numbers.index(cell.arm), list(cell), data, code])
        for cell in cells
    }


def code_hash(arena: Arena) -> str:
    """Return the hash of the sources that decide an outcome: engine, back-test, evaluation and the strategy."""
    from omega import backtest, engine

    here = Path(__file__).parent
    folders = [Path(package.__file__).parent for package in (engine, backtest) if package.__file__]
    files = sorted(path for folder in folders for path in folder.glob("*.py"))
    strategy = sys.modules[arena.strategy.signals.__module__].__file__
    files += [here / "arena.py", here / "folds.py", *([Path(strategy)] if strategy else [])]
    together = hashlib.sha256()
    for path in files:
        together.update(path.read_bytes())
    return together.hexdigest()


def run_cells(
    plan: Plan,
    data: Path,
    pending: list[Cell],
    marks: dict[Cell, str],
    store: CellStore,
    *,
    workers: int,
    evaluate: Evaluate,
    progress: Progress,
) -> dict[Cell, Outcome]:
    """Run the cells that are not finished yet and keep each.

    Args:
        plan: the experiment.
        data: where its bars are.
        pending: cells to run.
        marks: their fingerprints.
        store: where finished cells are kept.
        workers: processes; 1 runs in this one.
        evaluate: runs a cell in this process.
        progress: called with (finished, all) after each cell.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was finished is kept.
        EnvironmentFault: a worker died.
    """
    done: dict[Cell, Outcome] = {}
    alone = workers == 1 or len(pending) < workers
    finished = _here(pending, evaluate) if alone else _apart(plan, data, pending, workers)
    for cell, outcome in finished:
        store.keep(marks[cell], outcome, time.time_ns())
        done[cell] = outcome
        progress(len(done), len(pending))
    return done


def _here(pending: list[Cell], evaluate: Evaluate) -> Iterator[tuple[Cell, Outcome]]:
    for cell in pending:
        yield cell, evaluate(cell)


def _apart(plan: Plan, data: Path, pending: list[Cell], workers: int) -> Iterator[tuple[Cell, Outcome]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(plan, data, os.getpid()))
    queue, running = iter(pending), dict[Future[Outcome], Cell]()
    try:
        for cell in queue:
            with _deaf():
                running[pool.submit(_work, cell)] = cell
            if len(running) >= workers * _AHEAD:
                yield from _collect(running)
        while running:
            yield from _collect(running)
    except KeyboardInterrupt:
        pool.shutdown(wait=True, cancel_futures=True)
        for future, cell in running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield cell, future.result()
        raise
    except BrokenProcessPool as error:
        raise EnvironmentFault(
            "a worker process died, most likely for want of memory; finished cells are kept: run the same command "
            "again, with --workers 1 where memory is short"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that never hear Ctrl-C: a signal ignored here is ignored there from the first instruction on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _collect(running: dict[Future[Outcome], Cell]) -> Iterator[tuple[Cell, Outcome]]:
    ended, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in ended:
        yield running.pop(future), future.result()


def _begin(plan: Plan, data: Path, parent: int) -> None:
    """Prepare a worker; it ends when its parent has ended."""
    global _arena  # noqa: PLW0603 - a pool hands a worker no other place for its state
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    _arena = Arena(plan, data)


def _work(cell: Cell) -> Outcome:
    assert _arena is not None
    return _arena(cell)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
