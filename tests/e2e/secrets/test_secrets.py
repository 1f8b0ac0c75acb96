"""Secrets planted in every secret setting are nowhere to be found afterwards, whatever went wrong on the way."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from omega.cli.farm import Farm
from omega.config import Settings
from omega.config.loader import load
from omega.config.models import Redis
from omega.testing.farm import farm_options
from omega.testing.servers import free_port
from omega.topology import REDIS_SECRET

ROOT = Path(__file__).resolve().parents[3]
BARS = 40
PLANTED = {
    "OMEGA_GATEWAY__API_KEY": "planted-key-b7Qx/+1",
    "OMEGA_GATEWAY__API_SECRET": "planted-secret-m2Vz=&9",
    "OMEGA_GATEWAY__PASSPHRASE": "planted-phrase-kk4 T@w",
    "OMEGA_GATEWAY__KILL_KEY": "planted-kill-Pd83hsQ0",
}
DISCORD_TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Plntd1.planted-token-x9Zb71kQm4"
DATABASE_PASSWORD = "planted-db-W5r%t"
REDIS_PASSWORD = "planted-redis-u8Jh2"


TROUBLE = re.compile(rb"\[(warning|error) *\]|cannot start|Fault|Error|Denied")
"""What a process says when something is wrong: then it has said enough."""


def forms(secret: str) -> set[bytes]:
    """Return a secret as it may be written: plain, in a URL, in base64."""
    return {secret.encode(), quote(secret, safe="").encode(), base64.b64encode(secret.encode())}


def leaks(place: str, content: bytes, secrets: Iterable[str]) -> list[str]:
    """Name the secrets that a content shows."""
    return [f"{place} shows {secret[:12]}..." for secret in secrets if any(form in content for form in forms(secret))]


def swept(folder: Path, secrets: Iterable[str], *, but: Iterable[str] = ()) -> list[str]:
    """Search every file below a folder."""
    secrets = list(secrets)
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in but:
            found += leaks(str(path.relative_to(folder)), path.read_bytes(), secrets)
    return found


async def run_briefly(module: str, within_s: float, **env: str) -> bytes:
    """Run a service until it ends or the time is over, and return everything that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env={**os.environ, "OMEGA_MONITORING__PORT": "0", "PYTHONUNBUFFERED": "1", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(within_s):
            while not (TROUBLE.search(said)) and (more := await process.stdout.read(1 << 16)):
                said += more
        with suppress(ProcessLookupError):
            process.terminate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
    return said + (await asyncio.wait_for(process.communicate(), 60))[0]


def metrics(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        content: bytes = answer.read()
        return content


@pytest.mark.req("1.04", "1.05", "3.09", "2.124")
async def test_planted_secrets_are_absent_from_logs_metrics_stores_and_errors(tmp_path: Path) -> None:
    """The farm trades with planted keys, its gateway is killed, and four more processes fail with secrets in hand."""
    home = tmp_path / "run"
    account = {
        "key": PLANTED["OMEGA_GATEWAY__API_KEY"],
        "secret": PLANTED["OMEGA_GATEWAY__API_SECRET"],
        "passphrase": PLANTED["OMEGA_GATEWAY__PASSPHRASE"],
    }
    extra = {
        **PLANTED,
        "OMEGA_SIMULATOR__KEYS": yaml.safe_dump([account], default_flow_style=True, width=10_000).strip(),
        "OMEGA_RUNNER__RECORD": str(tmp_path / "recorded"),
        "OMEGA_MONITORING__LOG_LEVEL": "debug",
    }
    (tmp_path / "recorded").mkdir()
    farm = Farm(load().settings, farm_options(home, bots=("ema-btc",), extra_env=extra))
    async with farm:
        assert farm.conductor is not None
        assert farm._keys is not None
        secrets = [*PLANTED.values(), DISCORD_TOKEN, DATABASE_PASSWORD, REDIS_PASSWORD, *farm._keys.of.values()]
        await asyncio.wait_for(farm.conductor.run(BARS, lambda _: None), 240)
        os.kill(farm.processes.children["gateway"].pid, signal.SIGKILL)
        await farm.until_ready({"gateway"})
        shown = {
            name: await asyncio.to_thread(metrics, child.port)
            for name, child in farm.processes.children.items()
            if child.port
        }
        words = await provoked(farm, tmp_path)
        data = await dumped(farm)

    found = swept(home, secrets, but={"redis.url"}) + swept(tmp_path / "recorded", secrets)
    for place, content in {**shown, **words, "redis": data}.items():
        found += leaks(place, content, secrets)
    assert found == []
    assert (home / "redis.url").stat().st_mode & 0o077 == 0
    assert all(words.values())
    assert len(shown) >= 5
    assert b"ctl" in data or b"decision" in data


async def provoked(farm: Farm, folder: Path) -> dict[str, bytes]:
    """Let processes fail in front of an audience: wrong keys, refused settings, dead database, Discord, Redis."""
    venue = f"http://127.0.0.1:{farm.simulator_port}"
    gateway = {
        "OMEGA_REDIS_URL": farm.admin_url,
        "OMEGA_GATEWAY__REST_URL": venue,
        "OMEGA_GATEWAY__WS_URL": venue.replace("http", "ws"),
        "OMEGA_GATEWAY__JOURNAL": str(folder / "second.db"),
        "OMEGA_TRADING__ACCOUNT": "second",
    }
    wrong = {**PLANTED, "OMEGA_GATEWAY__API_KEY": "demo-key"}
    dead = free_port()
    runs = {
        "wrong keys": run_briefly("services.gateway", 90, **gateway, **wrong),
        "refused settings": run_briefly(
            "services.gateway",
            90,
            OMEGA_GATEWAY__API_SECRE=PLANTED["OMEGA_GATEWAY__API_SECRET"],
            OMEGA_GATEWAY__TIMEOUT_MS=PLANTED["OMEGA_GATEWAY__API_KEY"],
            OMEGA_REDIS_URL=f"redis://omega:{REDIS_PASSWORD}@127.0.0.1:{dead}/x",
        ),
        "dead database": run_briefly(
            "services.ledger",
            90,
            OMEGA_REDIS_URL=farm.admin_url,
            OMEGA_DATABASE__URL=f"postgresql+asyncpg://o:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{dead}/omega",
        ),
        "dead Redis": run_briefly(
            "services.cosmic", 90, OMEGA_REDIS_URL=f"redis://127.0.0.1:{dead}", OMEGA_REDIS__PASSWORD=REDIS_PASSWORD
        ),
        "wrong Redis password": run_briefly(
            "services.cosmic",
            90,
            OMEGA_REDIS_URL=farm._server_url,
            OMEGA_REDIS__USERNAME="auto",
            OMEGA_REDIS__PASSWORD=REDIS_PASSWORD,
        ),
        "Discord away": run_briefly(
            "services.discord_bot",
            90,
            OMEGA_REDIS_URL=farm.admin_url,
            OMEGA_DISCORD_BOT__ENABLED="true",
            OMEGA_DISCORD_BOT__TOKEN=DISCORD_TOKEN,
            OMEGA_DISCORD_BOT__API_BASE=f"http://127.0.0.1:{dead}/api/v10",
            OMEGA_DISCORD_BOT__GUILD_ID="1",
        ),
    }
    return dict(zip(runs, await asyncio.gather(*runs.values()), strict=True))


async def dumped(farm: Farm) -> bytes:
    """Return every value and every entry on the server."""
    from omega.bus import connect

    bus = connect(farm.admin_url, env="dev", source="test/dump")
    await bus.start()
    try:
        parts: list[bytes] = []
        async for key in bus.redis.scan_iter(count=1_000):
            parts += [key, await bus.redis.dump(key) or b""]
        return b"\n".join(parts)
    finally:
        await bus.close()


@pytest.mark.req("1.04", "1.05")
def test_every_secret_setting_is_planted_by_this_test() -> None:
    """A new secret setting has to be planted here too."""
    planted = {name.removeprefix("OMEGA_").lower().replace("__", ".") for name in PLANTED}
    planted |= {"discord_bot.token", "redis.password", "redis.sentinel_password"}
    planted |= {"simulator.keys.secret", "simulator.keys.passphrase"}

    assert set(secret_paths(Settings)) <= planted, "plant it in PLANTED, and see where it shows"
    shown = Redis(url="redis+sentinel://h:1/farm", sentinel_password=SecretStr("planted-sentinel")).complete()
    assert "planted-sentinel" not in repr(shown)


def secret_paths(model: Any, prefix: str = "") -> Iterable[str]:
    """Yield the dotted path of every secret below a settings model."""
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if kind is SecretStr:
                yield f"{prefix}{name}"
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from secret_paths(kind, f"{prefix}{name}.")


@pytest.mark.req("1.04", "1.05")
def test_no_demo_secret_stands_in_image_compose_or_manifest_outside_a_secret() -> None:
    """The values of the demo stand in their files; everything else refers to them by name."""
    demo = ROOT / "deploy/k8s/components/demo-secrets"
    files = [
        path for path in demo.rglob("*") if path.is_file() and ("__" in path.name or path.name.endswith("password"))
    ]
    # The published keys of the simulator are also its defaults, and parts of names; they open the demo exchange alone.
    values = {path.read_text().strip() for path in files} - {"demo", "demo-key", "demo-secret", "demo-pass"}
    assert len([path for path in files if path.name == REDIS_SECRET]) >= 9
    found = []
    for name in ("Dockerfile", "docker-compose.yml", "deploy/containers/servers.Dockerfile"):
        found += leaks(name, (ROOT / name).read_bytes(), values)
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the manifests are not rendered. Install kubectl 1.27 or newer.")
    for overlay in ("dev", "paper", "live"):
        command = ["kubectl", "kustomize", str(ROOT / "deploy/k8s/overlays" / overlay)]
        rendered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
        objects = list(yaml.safe_load_all(rendered))
        rest = [item for item in objects if item["kind"] != "Secret"]
        found += leaks(overlay, yaml.safe_dump_all(rest).encode(), values)
        assert overlay != "live" or len(rest) == len(objects), "live carries no secret at all"

    assert found == []
