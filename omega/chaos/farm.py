"""The farm of the lab: the composition of `omega up`, every process behind a proxy of its own and a launcher."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from omega.bus.wire import pack
from omega.chaos import child as launcher
from omega.chaos.disk import cut_power
from omega.chaos.proxy import RedisProxy
from omega.cli.farm import Farm, FarmOptions
from omega.cli.farm.admin import AdminClient
from omega.cli.farm.processes import STEADY_S, Child, Processes
from omega.config import Settings

_ADMIN_S: Final = 5.0


class LabProcesses(Processes):
    """Processes whose next start can be prepared: what a power cut or a lost disk has left is put in place first."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], None]] = {}

    async def _spawn(self, child: Child) -> None:
        prepare = self.before.pop(child.name, None)
        if prepare is not None:
            prepare()
        await super()._spawn(child)


class LabFarm(Farm):
    """A farm that faults can be done to."""

    def __init__(self, settings: Settings, options: FarmOptions, *, without: tuple[str, ...]) -> None:
        super().__init__(settings, options)
        self.processes: LabProcesses = LabProcesses()
        self.proxies: dict[str, RedisProxy] = {}
        self.points = options.home / "points"
        self._without = without
        self._admins: list[AdminClient] = []

    def venue(self) -> AdminClient:
        """Return a connection of one's own to the venue's admin port."""
        client = AdminClient(self.admin_port)
        self._admins.append(client)
        return client

    def child(self, name: str) -> Child:
        """Return a process by its name."""
        return self.processes.children[name]

    @property
    def journal(self) -> Path:
        """The gateway's journal."""
        return self.options.home / "journal.db"

    @property
    def redis_port(self) -> int:
        """The TCP port of the Redis server itself."""
        argv = self.child("redis").argv
        return int(argv[argv.index("--port") + 1])

    async def tell_redis(self, *words: str | int) -> bytes:
        """Give the server a command as its administrator, past every proxy; return the first line of the answer.

        Raises:
            OSError: the server is away.
            TimeoutError: it does not answer.
        """
        login = urlsplit(self.admin_url)
        async with asyncio.timeout(_ADMIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.redis_port)
            try:
                writer.write(pack("AUTH", login.username or "", login.password or "") + pack(*words))
                await reader.readline()
                return await reader.readline()
            finally:
                writer.close()

    def forgive(self, child: Child) -> None:
        """Let a process that the lab ended be started again at once: it is in no crash loop."""
        child.started_s -= STEADY_S + 1

    def lose_power(self) -> None:
        """Leave of the journal what was synced, before the gateway's next start."""
        mark = self.points / "journal.synced"
        self.processes.before["gateway"] = lambda: _ignore(cut_power(self.journal, mark))

    def lose_redis_data(self) -> None:
        """Let the next Redis server find an empty disk."""
        folder = self.options.home / "redis"

        def empty() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        self.processes.before["redis"] = empty

    def twin(self, name: str) -> Child:
        """Describe a second process of the same bot."""
        first = self.child(name)
        port = self.ports.take()
        env = {**first.env, "OMEGA_MONITORING__PORT": str(port), "OMEGA_ENVIRONMENT__INSTANCE": f"{name}-twin"}
        env[launcher.NAME] = f"{name}-twin"
        return Child(f"{name}-twin", first.argv, env, log=first.log.with_name(f"{name}-twin.log"), port=port)

    async def stop(self) -> None:
        """Stop the farm, its proxies last."""
        async with contextlib.AsyncExitStack() as closing:
            for proxy in self.proxies.values():
                closing.push_async_callback(proxy.close)
            closing.push_async_callback(super().stop)
            for client in self._admins:
                closing.push_async_callback(client.close)

    async def _start(self) -> None:
        self.points.mkdir(parents=True, exist_ok=True)
        names = ["simulator", "gateway", "ledger", "cosmic", "analytics"]
        names += [f"runner-{bot}" for bot in self.options.bots]
        for name in names:
            self.proxies[name] = RedisProxy(lambda: self.redis_url)
            await self.proxies[name].start()
        await super()._start()

    def _children(self) -> list[Child]:
        return [self._launched(child) for child in super()._children()]

    def _launched(self, child: Child) -> Child:
        env = {
            **child.env,
            "OMEGA_REDIS_URL": self.proxies[child.name].url,
            launcher.HOME: str(self.points),
            launcher.NAME: child.name,
            launcher.JOURNAL: str(self.journal),
            launcher.WITHOUT: ",".join(self._without),
        }
        return replace(child, argv=[sys.executable, "-m", "omega.chaos.child", child.argv[-1]], env=env)


def _ignore(_value: object) -> None:
    """Drop a value where nobody asks for it."""
