"""A running service records itself: over its own port, and from the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omega.bus import MemoryBus
from omega.config import Environment, Monitoring, Settings
from omega.runtime import BaseService
from omega.testing.service_contract import http

OMEGA = Path(sys.executable).with_name("omega")
OK, ACCEPTED, WRONG, REFUSED, ABSENT, BUSY = 200, 202, 400, 403, 404, 409


class Busy(BaseService):
    """Spends its time in one function and keeps what another one makes."""

    name = "busy"
    kept: list[bytes]

    async def on_start(self) -> None:
        self.kept = []
        self.spawn("work", self.work)

    async def work(self) -> None:
        while True:
            self.count()
            self.keep_a_page()
            await asyncio.sleep(0)

    def count(self) -> int:
        found = 0
        for number in range(20_000):  # line by line: within one call of C nobody can be looked at
            found += number
        return found

    def keep_a_page(self) -> None:
        self.kept.append(bytes(64 * 1024))


@pytest.fixture
async def busy() -> AsyncIterator[Busy]:
    settings = Settings(
        environment=Environment(instance="b-0"), monitoring=Monitoring.model_validate({"drain_s": 2, "profiling": True})
    )
    service = Busy(settings=settings, bus=MemoryBus())
    await service.initialize()
    await service.start()
    yield service
    await service.shutdown()


async def ask(service: Busy, path: str = "/profile", *, post: bool = False) -> tuple[int, dict[str, Any]]:
    status, body = await http(service.health.port, path, method="POST" if post else "GET")
    return status, json.loads(body)


async def recorded(service: Busy, question: str) -> dict[str, Any]:
    assert (await ask(service, f"/profile?{question}", post=True))[0] == ACCEPTED
    while (answer := await ask(service))[0] == ACCEPTED:  # noqa: ASYNC110 - as a client asks, over the port
        await asyncio.sleep(0.05)
    assert answer[0] == OK
    return answer[1]


@pytest.mark.req("4.56")
async def test_profile_names_the_function_that_is_at_work(busy: Busy) -> None:
    found = await recorded(busy, "seconds=0.6")

    assert found["service"] == "busy"
    assert found["functions"][0]["where"].endswith("Busy.count")  # not the wait for the next round, which costs nothing
    assert any("Busy.work;" in row["stack"] and row["stack"].endswith("Busy.count") for row in found["stacks"])
    assert sum(row["samples"] for row in found["stacks"]) == found["samples"]


@pytest.mark.req("4.55")
async def test_profile_of_memory_names_the_line_that_keeps_what_it_makes(busy: Busy) -> None:
    found = await recorded(busy, "kind=memory&seconds=0.5")

    ours = [row for row in found["allocators"] if "test_profile.py:" in row["where"]]
    assert max(row["bytes"] for row in ours) > 64 * 1024
    assert found["grown"] > 0


@pytest.mark.req("4.55", "4.56")
async def test_profile_is_refused_until_it_is_switched_on_and_takes_one_at_a_time(busy: Busy) -> None:
    assert (await ask(busy))[0] == ABSENT
    await busy.configure({"monitoring.profiling": False})
    status, words = await ask(busy, "/profile?seconds=1", post=True)
    assert (status, "monitoring.profiling" in words["error"]) == (REFUSED, True)
    assert (await ask(busy))[0] == REFUSED

    await busy.configure({"monitoring.profiling": True})
    for question in ("seconds=0", "seconds=soon", "seconds=1e9", "kind=disk"):
        assert (await ask(busy, f"/profile?{question}", post=True))[0] == WRONG
    assert (await ask(busy, "/profile?seconds=1", post=True))[0] == ACCEPTED
    assert (await ask(busy))[0] == ACCEPTED
    assert (await ask(busy, "/profile?seconds=1", post=True))[0] == BUSY


async def doctor(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(OMEGA), "doctor", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@pytest.mark.req("4.55", "4.56")
async def test_doctor_records_a_running_service_and_says_what_to_do_when_it_cannot(busy: Busy) -> None:
    url = f"http://127.0.0.1:{busy.health.port}"

    code, out, _ = await doctor("--profile", url, "--seconds", "0.5")
    assert code == 0
    assert "Busy.count" in out
    code, out, _ = await doctor("--profile", url, "--seconds", "0.5", "--memory", "--json")
    assert (code, json.loads(out)["kind"]) == (0, "memory")

    await busy.configure({"monitoring.profiling": False})
    code, _, error = await doctor("--profile", url)
    assert (code, "monitoring.profiling" in error) == (2, True)
    assert (await doctor("--profile", "http://127.0.0.1:1"))[0] == 3
    assert (await doctor("--profile", "gateway"))[0] == 2
