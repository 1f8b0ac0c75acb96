"""What a process tells of itself: memory, processor, sockets, and the pauses of its collector."""

from __future__ import annotations

import gc
import mmap
import socket
import threading
from collections.abc import Iterator

import pytest

from omega.runtime import process
from omega.runtime.process import LOOK_EVERY_S, ProcessWatch
from omega.telemetry import Metrics


class Bench:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.metrics = Metrics()
        self.watch = ProcessWatch("x", self.metrics, clock=lambda: self.now_s)

    def look(self) -> dict[str, float]:
        self.now_s += LOOK_EVERY_S
        self.watch.update()
        return self.metrics.samples()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.watch.open()
    yield made
    made.watch.close()


@pytest.mark.req("3.33", "4.53")
def test_process_memory_sockets_and_processor_time_are_those_of_the_process(bench: Bench) -> None:
    gc.collect()  # what other tests have left open must not go in between
    before = bench.look()
    held = mmap.mmap(-1, 64 * 1024 * 1024)  # of its own: the allocator might have so much left over
    for page in range(0, len(held), mmap.PAGESIZE):
        held[page] = 1  # touched, so that it is there
    with socket.socket():
        after = bench.look()

    assert after['omega_process_memory_bytes{service="x"}'] - before['omega_process_memory_bytes{service="x"}'] > 48e6
    assert after['omega_process_sockets{service="x"}'] == before['omega_process_sockets{service="x"}'] + 1
    assert (
        after['omega_process_cpu_seconds_total{service="x"}'] > before['omega_process_cpu_seconds_total{service="x"}']
    )
    held.close()


@pytest.mark.req("4.53")
@pytest.mark.parametrize(
    ("text", "limit"), [("262144000\n", 262_144_000), ("max\n", 0), ("9223372036854771712\n", 0), (None, 0)]
)
def test_process_limit_is_that_of_the_container(
    text: str | None, limit: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    file = tmp_path / "memory.max"  # type: ignore[operator]
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(process, "LIMITS", (file,))

    assert bench.look()['omega_process_memory_limit_bytes{service="x"}'] == limit


@pytest.mark.req("4.54")
def test_process_every_pause_of_the_collector_is_told_by_generation(bench: Bench) -> None:
    gc.collect(2)
    gc.collect(0)
    found = bench.look()

    assert found['omega_collector_pause_seconds_count{generation="2",service="x"}'] >= 1
    assert found['omega_collector_pause_seconds_count{generation="0",service="x"}'] >= 1
    assert found['omega_collector_pause_seconds_sum{generation="2",service="x"}'] > 0


def test_process_collector_that_begins_inside_a_metric_stops_nothing(bench: Bench) -> None:
    """The collector comes whenever an object is made, also while a metric is being written and holds its lock."""
    bench.look()
    child = bench.metrics.histogram("collector_pause_seconds")

    def collect() -> None:
        with child._lock:
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(20)

    assert not thread.is_alive()


def test_process_watch_that_is_closed_hears_no_more() -> None:
    heard = len(gc.callbacks)
    bench = Bench()
    bench.watch.open()
    bench.watch.close()
    bench.watch.close()

    assert len(gc.callbacks) == heard


@pytest.mark.req("4.54")
def test_process_counts_frozen_objects_once_after_each_freeze(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """To walk through some hundred thousand objects at every look would stop a process for 20 ms, caches and all."""
    counted = iter(range(1, 100))
    monkeypatch.setattr(gc, "get_freeze_count", lambda: next(counted))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(ProcessWatch, "frozen", process.NOT_COUNTED)
    name = 'omega_collector_frozen{service="x"}'

    shown = [bench.look()[name] for _ in range(3)]
    process.freeze()
    shown += [bench.look()[name] for _ in range(2)]

    assert shown == [1, 1, 1, 2, 2]
