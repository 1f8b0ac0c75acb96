"""Compose the farm on one machine: a Redis server, the simulator, the services, one runner a bot.

Called by `omega up`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from omega.bus import Bus, connect
from omega.bus.acl import ADMIN
from omega.cli.farm.admin import AdminClient
from omega.cli.farm.conductor import Conductor
from omega.cli.farm.observer import Observer
from omega.cli.farm.processes import Child, Processes, exchange_line, fatal, not_ready
from omega.cli.farm.redis_server import Keys, redis_child, wait_for_redis, write_private
from omega.config import Settings
from omega.domain import timeframe_ns
from omega.errors import EnvironmentFault, OmegaError
from omega.resilience import ended
from omega.runtime.ports import HeldPorts
from omega.topology import redis_user

READY_S = 60.0
LOCKSTEP = "lockstep"
URL_FILE = "redis.url"
"""In the run's folder: the server's URL with the login for people, for `omega bot`, `omega topics` and redis-cli."""
KILL_KEY_FILE = "secrets/gateway__kill_key"
KILL_URL_FILE = "kill.url"
"""In the run's folder: where and with which key `omega trade kill` reaches the gateway when Redis is gone."""
DEMO = {"API_KEY": "demo-key", "API_SECRET": "demo-secret", "PASSPHRASE": "demo-pass"}
"""What the simulator lets in; play money needs no secret."""


@dataclass(frozen=True, slots=True)
class FarmOptions:
    """How a farm on one machine is run.

    Attributes:
        bots: names of configured bots; one runner process each.
        speed: `lockstep`, or how many times faster than real time.
        bars: stop after so many bars, 0 = when interrupted.
        home: where journal, database, logs and the Redis data of this run go.
        redis_url: a server that runs already; empty = an embedded one is started.
        extra_env: what is added to every process' environment.
    """

    bots: tuple[str, ...]
    speed: str
    bars: int
    home: Path
    seed: int
    start: str
    data: str
    redis_url: str
    extra_env: dict[str, str]
    services: tuple[str, ...] = ()


class Farm:
    """The running farm. Use `async with Farm(settings, options) as farm`."""

    def __init__(self, settings: Settings, options: FarmOptions) -> None:
        self.settings = settings
        self.options = options
        self.processes = Processes()
        self.ports = HeldPorts()
        self.admin_port = self.ports.take()
        self.simulator_port = self.ports.take()
        self._gateway_port = self.ports.take()
        self._kill_key = settings.gateway.kill_key.get_secret_value() or secrets.token_hex(16)
        self.admin = AdminClient(self.admin_port)
        self.redis_url = options.redis_url
        self._keys: Keys | None = None
        self.admin_url = options.redis_url
        self._server_url = ""
        self.bus: Bus
        self.observer: Observer
        self.conductor: Conductor | None = None
        self.ready_after_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._started = time.monotonic()

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises:
            EnvironmentFault: a process did not become ready, with the end of its log.
            ConfigError: a process refused its configuration.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything within a bound; positions stay with their stops at the venue."""
        await self.stop()

    async def stop(self) -> None:
        """Stop readers, services, and the Redis server last."""
        async with contextlib.AsyncExitStack() as closing:  # whatever breaks or is cut, no process stays behind
            closing.callback(self.ports.close)
            closing.push_async_callback(self.processes.stop, last="redis")
            closing.push_async_callback(self._close_bus)
            closing.push_async_callback(self.admin.close)
            await ended(self._tasks)

    async def _close_bus(self) -> None:
        if hasattr(self, "bus"):
            with contextlib.suppress(OmegaError, TimeoutError):
                async with asyncio.timeout(3):
                    await self.bus.close()

    async def ask_gateway(self, method: str) -> dict[str, Any]:
        """Ask the gateway for a JSON object."""
        answer = await self.bus.ask("gateway", method, within_ns=10_000_000_000)
        assert isinstance(answer, dict)
        return answer

    async def until_ready(self, names: set[str], *, within_s: float = READY_S) -> None:
        """Wait until the named processes answer ready.

        Raises:
            EnvironmentFault: one did not in time.
            ConfigError: one refused its configuration.
        """
        deadline = time.monotonic() + within_s
        waiting = set(names)
        while waiting:
            self.raise_failed()
            for name in sorted(waiting):
                if await _is_ready(self.processes.children[name]):
                    waiting.discard(name)
            if waiting and time.monotonic() > deadline:
                raise not_ready([self.processes.children[name] for name in sorted(waiting)], within_s)
            await asyncio.sleep(0.05)

    def raise_failed(self) -> None:
        """Raise when a process has given up for good.

        Raises:
            ConfigError: what the process said.
        """
        failed = self.processes.failed
        if failed and failed.done():
            raise fatal(failed.result())

    async def watch_health(self) -> None:
        """Keep asking every process for its readiness until cancelled."""
        while True:
            for child in list(self.processes.children.values()):
                await _is_ready(child)
            await asyncio.sleep(1)

    async def _start(self) -> None:
        self.options.home.mkdir(parents=True, exist_ok=True)
        if not self.redis_url:
            await self._start_redis()
        self._show_kill_switch()
        for child in self._children():
            await self.processes.start(child)
        self.bus = connect(self.redis_url, env=self.settings.environment.name, source="cli:up")
        await self.bus.start()
        self.observer = Observer(self.bus, self.options.bots)
        self.observer.started_s = self._started
        following = asyncio.Event()
        self._spawn(self.observer.follow_records(following))
        self._spawn(self.observer.follow_signals())
        try:
            async with asyncio.timeout(READY_S):
                await following.wait()
        except TimeoutError:
            log = self.options.home / "redis.log"
            raise EnvironmentFault(f"the bus let nobody read its records within {READY_S:.0f} s; see {log}") from None
        await self.until_ready(set(self.processes.children) - {"redis"})
        self.ready_after_s = time.monotonic() - self._started
        self._spawn(self.watch_health())
        await self.admin.call("POST", "/go")
        if self.options.speed == LOCKSTEP:
            tf = timeframe_ns(self.settings.trading.timeframe)
            self.conductor = Conductor(
                self.bus,
                self.observer,
                self.admin,
                timeframe_ns=tf,
                recovered=lambda: self.until_ready({"simulator", "gateway"}),
            )

    async def _start_redis(self) -> None:
        """Start the embedded server with a user a service; `redis_url` is the door for people, also in a file."""
        # Every configured bot has a user, so that one that is added by hand can log in too.
        bots = sorted({*self.settings.bots, *self.options.bots})
        keys = Keys.fresh(self.settings.environment.name.value, bots)
        child, url = redis_child(self.options.home, self.ports.take(), keys.acl(bots))
        await self.processes.start(child)
        await wait_for_redis(child, keys.login(url, "cli"))
        self._keys, self._server_url = keys, url
        self.redis_url, self.admin_url = keys.login(url, "cli"), keys.login(url, ADMIN)
        write_private(self.options.home / URL_FILE, self.redis_url + "\n")

    def _show_kill_switch(self) -> None:
        """Leave address and key of the kill switch where a person finds them with Redis dead."""
        home = self.options.home
        (home / KILL_KEY_FILE).parent.mkdir(mode=0o700, exist_ok=True)
        write_private(home / KILL_KEY_FILE, self._kill_key)
        write_private(home / KILL_URL_FILE, self._kill_url + "\n")

    @property
    def _kill_url(self) -> str:
        return f"http://127.0.0.1:{self._gateway_port}"

    def _kill_env(self, service: str) -> dict[str, str]:
        """Give the key to those who check it and who sign with it, and to nobody else."""
        if service not in {"gateway", "discord_bot"}:
            return {}
        return {"OMEGA_GATEWAY__KILL_KEY": self._kill_key, "OMEGA_GATEWAY__KILL_URL": self._kill_url}

    def _redis_env(self, service: str, bot: str) -> dict[str, str]:
        if self._keys is None:
            return {"OMEGA_REDIS_URL": self.redis_url}
        name = redis_user(self._keys.env, service, bot)
        login = {"OMEGA_REDIS__USERNAME": name, "OMEGA_REDIS__PASSWORD": self._keys.of[name]}
        return {"OMEGA_REDIS_URL": self._server_url, **login}

    def _ledger_env(self) -> dict[str, str]:
        """Give each run its own database with its own archive; a database that the user names keeps its own."""
        if "OMEGA_DATABASE__URL" in os.environ:
            return {}
        home = self.options.home
        places = {
            "OMEGA_DATABASE__URL": f"sqlite+aiosqlite:///{home / 'ledger.db'}",
            "OMEGA_LEDGER__ARCHIVE": str(home / "archive"),
        }
        return places | ({"OMEGA_LEDGER__HEADS": str(home / "heads")} if self.settings.ledger.heads else {})

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _children(self) -> list[Child]:
        names = ["simulator", "gateway", "ledger", "cosmic", "analytics", *self.options.services]
        children = [self._child(name, name, {}) for name in names]
        return children + [
            self._child(f"runner-{bot}", "runner", {"OMEGA_RUNNER__BOT": bot}) for bot in self.options.bots
        ]

    def _child(self, name: str, service: str, env: dict[str, str]) -> Child:
        home = self.options.home
        port = self._gateway_port if service == "gateway" else self.ports.take()
        base = f"http://127.0.0.1:{self.simulator_port}"
        common = {
            "OMEGA_ENV": self.settings.environment.name,
            **self._redis_env(service, env.get("OMEGA_RUNNER__BOT", "")),
            "OMEGA_ENVIRONMENT__INSTANCE": name,
            "OMEGA_MONITORING__HOST": "127.0.0.1",
            "OMEGA_MONITORING__PORT": str(port),
            **self._ledger_env(),
            **self._kill_env(service),
            "OMEGA_GATEWAY__REST_URL": base,
            "OMEGA_GATEWAY__WS_URL": base.replace("http", "ws"),
            "OMEGA_GATEWAY__JOURNAL": str(home / "journal.db"),
            "OMEGA_GATEWAY__HALT_FILE": str(home / "HALT"),
            "OMEGA_SIMULATOR__PORT": str(self.simulator_port),
            "OMEGA_SIMULATOR__ADMIN_PORT": str(self.admin_port),
            "OMEGA_SIMULATOR__SPEED": self.options.speed,
            "OMEGA_SIMULATOR__SEED": str(self.options.seed),
            "OMEGA_SIMULATOR__HOLD": "true",
            "OMEGA_SIMULATOR__STATE": str(home / "simulator.state"),
            **({"OMEGA_SIMULATOR__START": self.options.start} if self.options.start else {}),
            **({"OMEGA_SIMULATOR__DATA_DIR": self.options.data} if self.options.data else {}),
            **{f"OMEGA_GATEWAY__{key}": value for key, value in DEMO.items()},
            "OMEGA_COSMIC__CLOCK": "bars",
            # One machine, one supervisor: a process that died is known dead, its successor need not wait long.
            "OMEGA_REDIS__LEASE_TTL_S": "5",
            **_faster_than_the_venue(self.options.speed),
            "PYTHONUNBUFFERED": "1",
        }
        argv = [sys.executable, "-m", f"services.{service}"]
        return Child(name, argv, {**common, **env, **self.options.extra_env}, log=home / f"{name}.log", port=port)


def _faster_than_the_venue(speed: str) -> dict[str, str]:
    """Let a replay that outruns the clock call the venue as often in its own time as it may in real time."""
    if speed == LOCKSTEP or float(speed) > 1:
        lanes = ("ORDERS_PER_S", "READS_PER_S", "MARKET_PER_S", "BURST")
        return {"OMEGA_SIMULATOR__LIMITS": "off", **{f"OMEGA_GATEWAY__LANES__{lane}": "10000" for lane in lanes}}
    return {}


async def _is_ready(child: Child) -> bool:
    if not child.port:
        child.ready_s = child.ready_s or 0.001 if child.pid else 0.0
        return bool(child.pid)
    if not child.pid:
        child.ready_s = 0.0
        return False
    ready = await _get_ok(child.port, "/readyz")
    if ready and not child.ready_s:
        child.ready_s = time.monotonic() - child.started_s
    elif not ready:
        child.ready_s = 0.0
    return ready


async def _get_ok(port: int, path: str) -> bool:
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        status = await exchange_line(port, request.encode())
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


@contextlib.asynccontextmanager
async def interrupted(event: asyncio.Event) -> AsyncIterator[None]:
    """Set the event on SIGINT and SIGTERM instead of dying."""
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
