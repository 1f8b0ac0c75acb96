"""Supervised tasks: restarts, one line a change, errors that stop the service."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from omega.errors import ConfigError, EnvironmentFault, Fenced, InvariantBroken, OmegaError, TransientError
from omega.runtime import Reaction, Supervisor, reaction_to, supervisor
from omega.telemetry import Metrics, configure
from omega.telemetry.logging import configure_quietly


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    stream = io.StringIO()
    configure(service="x", instance="x", version="1", stream=stream)
    yield stream
    configure_quietly()
    root.setLevel(level)
    root.handlers[:] = handlers


class Bench:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.fatal: list[BaseException] = []
        self.supervisor = Supervisor(service="x", metrics=self.metrics, on_fatal=self.fatal.append)


async def until(condition: object, *, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(0.005)


@pytest.mark.req("0.11", "2.80")
async def test_supervisor_failing_task_is_restarted_and_both_changes_are_logged_once(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.03)
    monkeypatch.setattr(supervisor, "SOUND_S", 0.05)
    bench = Bench()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs <= 3:
            raise TransientError(f"failure {runs}")
        await asyncio.Event().wait()

    bench.supervisor.spawn("feed", work)
    await until(lambda: runs == 1 and bench.supervisor.failing)
    assert bench.supervisor.failing == {"feed": "TransientError: failure 1"}
    await until(lambda: runs == 4 and not bench.supervisor.failing)

    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events == ["task.failed", "task.recovered"]
    assert bench.metrics['omega_errors_total{class="TransientError",service="x"}'] == 3
    assert bench.metrics["task_restarts_total"] == 3
    assert await bench.supervisor.close(within_s=1) == []


async def test_supervisor_back_off_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits that it asks for are looked at, not those that a busy machine makes of them."""
    plain, waits = asyncio.sleep, list[float]()

    async def asked(seconds: float) -> None:
        waits.append(seconds)
        await plain(0)

    bench = Bench()
    done = asyncio.Event()

    async def work() -> None:
        if len(waits) == 12:
            done.set()
            await asyncio.Event().wait()
        raise TransientError("no")

    monkeypatch.setattr(supervisor.asyncio, "sleep", asked)
    bench.supervisor.spawn("feed", work)
    async with asyncio.timeout(60):
        await done.wait()
    await bench.supervisor.close(within_s=1)

    first, longest = supervisor.FIRST_DELAY_S, supervisor.LONGEST_DELAY_S
    for number, wait in enumerate(waits):
        whole = min(first * 2**number, longest)
        assert 0.75 * whole <= wait <= 1.25 * whole


@pytest.mark.parametrize("error", [InvariantBroken("x"), Fenced("x"), ConfigError("x")])
async def test_supervisor_error_that_no_restart_mends_stops_the_service(error: OmegaError) -> None:
    bench = Bench()

    async def work() -> None:
        raise error

    bench.supervisor.spawn("feed", work)
    await until(lambda: bench.fatal)

    assert bench.fatal == [error]
    await until(lambda: bench.supervisor.running == 0)


async def test_supervisor_bug_is_counted_by_its_class_and_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.001)
    bench = Bench()

    async def work() -> None:
        raise ZeroDivisionError

    bench.supervisor.spawn("feed", work)
    await until(lambda: bench.metrics.get('omega_errors_total{class="ZeroDivisionError",service="x"}', 0) > 1)

    assert bench.fatal == []
    await bench.supervisor.close(within_s=1)


async def test_supervisor_task_that_returns_is_done_and_one_shot_is_not_repeated() -> None:
    bench = Bench()
    runs: list[str] = []

    async def well() -> None:
        runs.append("well")

    async def ill() -> None:
        runs.append("ill")
        raise TransientError("once")

    bench.supervisor.spawn("well", well)
    bench.supervisor.spawn("ill", ill, restart=False)
    await until(lambda: bench.supervisor.running == 0)

    assert sorted(runs) == ["ill", "well"]
    assert bench.supervisor.failing == {}


async def test_supervisor_close_names_tasks_that_do_not_end() -> None:
    bench = Bench()
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = bench.supervisor.spawn("stubborn", stubborn)
    await asyncio.sleep(0)

    assert await bench.supervisor.close(within_s=0.02) == ["x.stubborn"]
    with pytest.raises(InvariantBroken, match="after the shutdown"):
        bench.supervisor.spawn("late", stubborn)
    release.set()
    await asyncio.wait({task})


@pytest.mark.req("2.76", "2.73")
def test_reaction_every_class_of_the_tree_has_one() -> None:
    def classes(kind: type[OmegaError]) -> set[type[OmegaError]]:
        return {kind}.union(*map(classes, kind.__subclasses__()))

    tree = [kind for kind in classes(OmegaError) if kind.__module__ == "omega.errors"]
    reactions = {kind.__name__: reaction_to(kind("x")) for kind in tree}

    assert reactions == {
        "DamagedStore": Reaction.HALT,
        "OmegaError": Reaction.PAGE,
        "ConfigError": Reaction.PAGE,
        "EnvironmentFault": Reaction.RETRY,
        "TransientError": Reaction.RETRY,
        "Unresolved": Reaction.PAGE,
        "Rejected": Reaction.DROP,
        "Denied": Reaction.DROP,
        "Stale": Reaction.DROP,
        "Fenced": Reaction.HALT,
        "CorruptData": Reaction.DROP,
        "InvariantBroken": Reaction.HALT,
    }
    assert reaction_to(EnvironmentFault("x")) is Reaction.RETRY
