"""A service as a process of its own: signals, exit codes, one-paragraph errors, no secret in its output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omega.testing.bounds import killed_after
from omega.testing.servers import ValkeyServer, valkey_server

PROGRAM = """
import asyncio
from omega.runtime import BaseService, run

class Sample(BaseService):
    name = "sample"

    async def on_start(self):
        self.spawn("work", self.work)

    async def work(self):
        self.log_activity("work.begun", key=self.settings.gateway.api_key, text="key is planted-key-1")
        await asyncio.Event().wait()

    async def on_drain(self):
        self.log_activity("work.drained")

run(lambda settings, bus: Sample(settings=settings, bus=bus), name="sample")
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with valkey_server() as running:
        yield running


def start(url: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OMEGA_CONFIG_DIR": str(ROOT / "config"),
            "OMEGA_ENV": "paper",
            "OMEGA_REDIS_URL": url,
            "OMEGA_MONITORING__DRAIN_S": "5",
            **environ,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def follow(process: subprocess.Popen[str], event: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    with killed_after(process):
        for text in process.stdout:
            lines.append(json.loads(text))
            if lines[-1]["event"] == event:
                return lines, lines[-1]
        _, error = process.communicate()
    raise AssertionError(f"{event} never came; {lines} {error}")


@pytest.mark.req("1.54", "2.69", "4.17", "2.133", "4.16", "2.117", "4.54")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_signal_drains_it_and_it_exits_with_0(server: ValkeyServer, number: signal.Signals) -> None:
    process = start(server.url, OMEGA_GATEWAY__API_KEY="planted-key-1")
    lines, _ = follow(process, "ready.gained")
    port = next(line["port"] for line in lines if line["event"] == "http.listening")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        metrics = answer.read().decode()

    began = time.monotonic()
    process.send_signal(number)
    out, error = process.communicate(timeout=60)

    events = [json.loads(text)["event"] for text in out.splitlines()]
    assert process.returncode == 0, error
    assert time.monotonic() - began < 5
    assert "shutdown.step_cut" not in events
    assert events.index("work.drained") < events.index("service.ended")
    assert 'omega_service_info{instance="sample-' in metrics
    assert float(metrics.partition('omega_collector_frozen{service="sample"} ')[2].split()[0]) > 10_000
    assert error == ""
    assert "planted-key-1" not in out + json.dumps(lines)
    assert any(line["event"] == "work.begun" and line["text"] == "key is [redacted]" for line in lines)


def test_process_without_a_server_says_what_to_do_and_exits_with_3() -> None:
    process = start("redis://:planted-pw@127.0.0.1:1/0")

    out, error = process.communicate(timeout=20)

    assert process.returncode == 3
    assert error.startswith("sample: ")
    assert "OMEGA_REDIS_URL" in error
    assert error.count("\n") == 1
    assert "planted-pw" not in out + error


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "words"),
    [
        (["--set", "trading.max_levrage=2"], {}, 2, "did you mean trading.max_leverage?"),
        (["--set", "trading.max_leverage"], {}, 2, "has no value"),
        ([], {"OMEGA_ENV": "live"}, 2, "second switch"),
    ],
)
def test_process_wrong_settings_exit_with_2_in_one_paragraph(
    arguments: list[str], environ: dict[str, str], code: int, words: str
) -> None:
    process = start("redis://127.0.0.1:1/0", *arguments, **environ)

    out, error = process.communicate(timeout=20)

    assert (process.returncode, out) == (code, "")
    assert words in error
    assert error.count("\n") == 1


def test_process_port_in_use_exits_with_3(server: ValkeyServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(server.url, OMEGA_MONITORING__PORT=str(taken.getsockname()[1]))
        _, error = process.communicate(timeout=20)

    assert process.returncode == 3
    assert "cannot listen on 127.0.0.1:" in error
