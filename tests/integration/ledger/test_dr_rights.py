"""`omega dr` against a Redis server with the generated users: who may, and what is said to whom may not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from omega.bus import AuditNote, connect
from omega.bus.acl import ADMIN, acl_file, users
from omega.bus.redis import RedisBus
from omega.cli.app import build
from omega.errors import ConfigError, EnvironmentFault
from omega.storage.engine import Database
from omega.storage.migrations import upgrade
from omega.testing.servers import ValkeyServer, valkey_server

BOSS = "boss-secret"
PASSWORDS = {one.name: f"pw-{one.name}" for one in users("dev", ())}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    path = tmp_path / "users.acl"
    path.write_text(acl_file(users("dev", ()), PASSWORDS, admin=BOSS))
    try:
        with valkey_server({"aclfile": str(path)}) as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


def bus_of(server: ValkeyServer, user: str, password: str) -> RedisBus:
    return connect(f"redis://{user}:{password}@127.0.0.1:{server.port}/0", env="dev", source=f"{user}/1")


def environment(server: ValkeyServer, user: str, password: str) -> dict[str, str]:
    return {
        "OMEGA_REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
        "OMEGA_REDIS__USERNAME": user,
        "OMEGA_REDIS__PASSWORD": password,
        "OMEGA_ENV": "dev",
    }


def dr(server: ValkeyServer, user: str, password: str, *words: str) -> dict[str, Any]:
    """Run the command as a person does, logged in to Redis as this user; return its answer."""
    told = CliRunner().invoke(build("dr"), ["dr", *words], env=environment(server, user, password))
    if told.exception is not None:
        raise told.exception
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


async def _fill(server: ValkeyServer, file: Path) -> None:
    database = Database(f"sqlite:///{file}")
    await upgrade(database)
    await database.close()
    discord, ledger = (bus_of(server, name, PASSWORDS[name]) for name in ("dev-discord-bot", "dev-ledger"))
    await discord.start()
    await ledger.start()
    await discord.send(AuditNote("ann", "discord_bot", "drill", "farm", "ok", {}))
    async with ledger.records(ledger.topics.audit(), group="ledger") as batches:
        batch = await anext(aiter(batches))
        for delivery in batch:
            async with delivery:
                pass
    await ledger.close()
    await discord.close()


@pytest.mark.req("4.85", "2.43")
def test_backup_and_restore_of_redis_want_the_administrator_and_say_so_before_the_work(
    server: ValkeyServer, tmp_path: Path
) -> None:
    """The user of people is told what is missing, and nothing is made; the administrator's snapshot comes back."""
    file, backups, restored = tmp_path / "ledger.db", tmp_path / "backups", tmp_path / "restored.db"
    asyncio.run(_fill(server, file))
    cli, boss = ("dev-cli", PASSWORDS["dev-cli"]), (ADMIN, BOSS)
    make = ("backup", str(backups), "--no-journal", "--redis", "--database", f"sqlite:///{file}", "--json")
    put = ("restore", str(backups), "--redis", "--catch-up", "--database", f"sqlite:///{restored}", "--json")

    command = [sys.executable, "-m", "omega.cli", "dr", *make]
    whole = os.environ | environment(server, *cli)
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=whole, timeout=120)
    assert refused.returncode == 2, refused.stderr
    assert "user 'dev-cli' may not DUMP, PTTL" in refused.stderr
    assert "OMEGA_REDIS__USERNAME=admin" in refused.stderr
    assert not list(backups.glob("*"))

    kept = dr(server, *boss, *make)["redis_keys"]
    assert kept > 1

    with pytest.raises(ConfigError, match="'dev-cli' may not RESTORE, XGROUP SETID"):
        dr(server, *cli, *put)
    with pytest.raises(ConfigError, match="already: restore into an empty server"):
        dr(server, *boss, *put)
    assert not restored.exists(), "a database that is filled could not be restored into again"

    asyncio.run(_flush(server))
    told = dr(server, *boss, *put)
    assert told["redis_keys"] == kept
    assert list(told["set_back"].values()) == ["0-0"], "the empty ledger reads everything again"


async def _flush(server: ValkeyServer) -> None:
    bus = bus_of(server, ADMIN, BOSS)
    await bus.start()
    await bus.redis.flushall()
    await bus.close()
