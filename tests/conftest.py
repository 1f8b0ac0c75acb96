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
UNTRACED = ("property", "golden", "k8s", "e2e/chaos", "e2e/containers", "e2e/farm", "e2e/parity", "e2e/secrets")
"""Tests that run what others reach too, thousands of times or in dozens of processes: the tracer makes plain Python
three to four times dearer and adds a third of a second to every process, and finds no further line in them."""
TRACED = ("e2e/farm/test_running.py",)
"""The one farm whose processes are traced: it starts every service and kills some."""
FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""With this variable, which `coverage run` sets, a child process traces itself from its first line."""


def _traced(path: Path) -> bool:
    place = path.relative_to(TESTS)
    return any(place.is_relative_to(name) for name in TRACED) or not any(
        place.is_relative_to(name) for name in UNTRACED
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop the tracer for the tests that do not count for coverage, in this process and its children."""
    coverage = Coverage.current()
    if coverage is None or _traced(item.path):
        return (yield)
    told = os.environ.pop(FOR_CHILDREN, "")
    coverage.stop()
    try:
        return (yield)
    finally:
        if nextitem is None or _traced(nextitem.path):
            coverage.start()
        os.environ[FOR_CHILDREN] = told
