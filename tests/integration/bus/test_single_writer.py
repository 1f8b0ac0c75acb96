"""One writer a bot: a process that was paused, or cut off, stops before anybody else may own its lease."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from omega.bus import SendResult
from omega.testing.bounds import exit_code
from omega.testing.bus_contract import decision
from omega.testing.servers import ValkeyServer

from .conftest import Build

ROOT = Path(__file__).resolve().parents[3]
TTL_S = 1.5
WRITER = """
import asyncio, sys
from types import SimpleNamespace
from omega.bus import connect
from omega.errors import Fenced
from omega.testing.bus_contract import decision

async def main(url):
    bus = connect(url, env="dev", source="runner/old")
    await bus.start()
    lease = await bus.lease("xyko", ttl_s=float(sys.argv[2]))
    print("taken", lease.epoch, flush=True)
    number = 0
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        number += 1
        blind = SimpleNamespace(name=lease.name, epoch=lease.epoch, held=True, lost=False)
        used = blind if line.startswith("blind") else lease
        believed = used.held
        try:
            outcome = (await bus.send(decision("xyko", 100 + number), lease=used)).value
        except Fenced:
            outcome = "fenced"
        print("held" if believed else "doubts", outcome, flush=True)

asyncio.run(main(sys.argv[1]))
"""


class OldWriter:
    """A runner's half of the bus in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, url: str) -> OldWriter:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, url, str(TTL_S), stdin=pipe, stdout=pipe, cwd=ROOT
        )
        writer = cls(process)
        assert (await writer.line()).startswith("taken")
        return writer

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            async for line in self.process.stdout:
                text = line.decode().strip()
                if text.startswith(("taken", "held", "doubts")):  # the rest is its log
                    return text
        raise AssertionError("the writer has ended")

    def ask(self, how: str = "send") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{how}\n".encode())

    async def end(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.kill()
        await exit_code(self.process)


async def test_writer_that_was_paused_while_its_lease_went_over_is_fenced_when_it_wakes(
    server: ValkeyServer, build: Build
) -> None:
    """SIGSTOP in the middle of its life: what it sends on waking, believing itself alive, is in no stream."""
    old = await OldWriter.start(server.url)
    try:
        old.ask()
        assert await old.line() == f"held {SendResult.SENT.value}"
        os.kill(old.process.pid, signal.SIGSTOP)
        bus = await build("runner/new")
        new = await bus.lease("xyko", ttl_s=30.0)
        written = len(await bus.history(bus.topics.decisions()))
        await bus.send(decision("xyko", 1), lease=new)
        os.kill(old.process.pid, signal.SIGCONT)
        old.ask("blind")  # as if it had been paused behind its own look at the lease: only the server can refuse
        assert await old.line() == "held fenced"
        old.ask()

        assert await old.line() == "doubts fenced"
        epochs = [item.envelope.epoch for item in await bus.history(bus.topics.decisions())]
        assert epochs[written:] == [new.epoch], "nothing of the old writer stands behind the new one's first word"
    finally:
        await old.end()


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_writer_that_is_cut_off_doubts_before_the_lease_is_anybodys(
    share: float, server: ValkeyServer, build: Build
) -> None:
    """A frozen server is a partition: by our clock the trust ends while by the server's the lease still stands."""
    bus = await build()
    lease = await bus.lease("xyko", ttl_s=TTL_S * share)
    loop = asyncio.get_running_loop()
    server.freeze()
    cut = loop.time()
    try:
        async with asyncio.timeout(30):
            asked = trusted = cut
            while lease.held:
                trusted = asked
                await asyncio.sleep(0.005)
                asked = loop.time()  # before the look: a machine that stands still in between makes it no later
    finally:
        server.thaw()

    assert trusted - cut < TTL_S * share
