"""What holds for every test: the suite draws the same examples each time, and only some tests count for coverage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import settings

# A build goes red for what a change broke, not for what chance found in it; finding is the task of `make explore`.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("OMEGA_TEST_EXPLORE") else "suite")

TESTS = Path(__file__).resolve().parent
UNTRACED = ("property", "golden", "k8s")
"""Tests that run the same few lines thousands of times: the tracer makes plain Python three to four times dearer."""
FARMS = ("e2e/chaos", "e2e/containers", "e2e/farm", "e2e/parity", "e2e/secrets")
"""Tests whose dozens of processes start untraced, each of them two thirds dearer otherwise."""
TRACED_FARM = "e2e/farm/test_running.py"
"""The one farm whose processes are traced: it starts every service and kills some."""
WAITING = ("e2e", "integration")
"""Tests that wait for processes most of their time; the others compute."""
FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""With this variable, which `coverage run` sets, a child process traces itself from its first line."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that wait and files that compute come in turn: together they keep all cores busy."""
    files = list(dict.fromkeys(item.path for item in items))
    waiting = [path for path in files if _below(path, WAITING)]
    computing = [path for path in files if not _below(path, WAITING)]
    place = {path: at / len(group) for group in (waiting, computing) for at, path in enumerate(group)}
    items.sort(key=lambda item: place[item.path])


def _below(path: Path, places: tuple[str, ...]) -> bool:
    return any(map(path.relative_to(TESTS).is_relative_to, places))


_paused: list[Coverage] = []
"""The tracer, while it is stopped: `Coverage.current` does not know it then."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Stop the tracer where it finds no further line: in this process, or in its children alone."""
    paused = _below(item.path, UNTRACED)
    coverage = Coverage.current()
    if paused and coverage is not None:
        coverage.stop()
        _paused.append(coverage)
    elif not paused and _paused:
        _paused.pop().start()
    farm = _below(item.path, FARMS) and not _below(item.path, (TRACED_FARM,))
    alone = paused or farm or item.get_closest_marker("kills") is not None
    told = os.environ.pop(FOR_CHILDREN, "") if alone else ""
    try:
        return (yield)
    finally:
        if told:
            os.environ[FOR_CHILDREN] = told
