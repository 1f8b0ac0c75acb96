"""Hot reload from real files: the kubelet's layout, plain files, refusals, bar and restart fields."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from omega.bus import MemoryBus
from omega.bus.messages import ConfigChanged
from omega.config import Settings, load
from omega.config.change import Change
from omega.config.reload import Reloader, marks
from omega.errors import ConfigError
from omega.runtime import BaseService, State
from omega.telemetry import Levels
from omega.testing.service_contract import eventually


class Mount:
    """A ConfigMap as the kubelet mounts it: files are links to ..data, which is a link to a timestamped directory."""

    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.count = 0
        self.swap(files)
        for name in files:
            (self.directory / name).symlink_to(f"..data/{name}")

    def swap(self, files: dict[str, str]) -> None:
        self.count += 1
        fresh = self.directory / f"..2026_11_20_11_00_{self.count:02d}.1234"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / name).write_text(text)
        link = self.directory / "..data"
        old = link.resolve() if link.exists() else None
        (self.directory / "..data_tmp").symlink_to(fresh.name)
        os.replace(self.directory / "..data_tmp", link)  # noqa: PTH105 - rename is what the kubelet does
        if old is not None:
            for path in old.iterdir():
                path.unlink()
            old.rmdir()


@dataclass
class Ear:
    applied: list[Change] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    refuse: str = ""

    async def apply(self, change: Change) -> None:
        if self.refuse:
            raise ConfigError(self.refuse)
        self.applied.append(change)

    async def reject(self, error: str) -> None:
        self.rejected.append(error)


def live(text: str) -> dict[str, str]:
    return {"live.yaml": text}


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text("trading:\n  max_leverage: 3\n")
    return tmp_path / "config"


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "live", live("monitoring:\n  log_level: info\n"))


def make(config_dir: Path, mount: Mount, ear: Ear, *, at_bar: bool = True, check_s: float = 60.0) -> Reloader:
    loaded = load(config_dir=config_dir, environ={"OMEGA_LIVE_DIR": str(mount.directory)})
    reloader = Reloader(loaded, check_s=check_s)
    reloader.bind(apply=ear.apply, reject=ear.reject, at_bar=at_bar)
    return reloader


@pytest.fixture
async def watch() -> AsyncIterator[Callable[[Reloader], asyncio.Future[None]]]:
    running: list[asyncio.Future[None]] = []

    def begin(reloader: Reloader) -> asyncio.Future[None]:
        running.append(asyncio.ensure_future(reloader.run()))
        return running[-1]

    yield begin
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.req("0.37", "4.13")
async def test_reload_swap_of_a_configmap_applies_live_fields(
    config_dir: Path, mount: Mount, watch: Callable[[Reloader], object]
) -> None:
    ear = Ear()
    reloader = make(config_dir, mount, ear)
    watch(reloader)
    await asyncio.sleep(0.2)

    for level in ("debug", "warning"):  # the second swap finds the first directory gone
        mount.swap(live(f"monitoring:\n  log_level: {level}\n"))
        await eventually(lambda wanted=level: reloader.settings.monitoring.log_level == wanted, within_s=60)

    assert [change.lines() for change in ear.applied] == [
        ("monitoring.log_level: info -> debug",),
        ("monitoring.log_level: debug -> warning",),
    ]
    assert reloader.generation == 3


@pytest.mark.req("0.37", "4.13")
async def test_reload_bad_file_keeps_the_last_good_configuration(
    config_dir: Path, mount: Mount, watch: Callable[[Reloader], object]
) -> None:
    ear = Ear()
    reloader = make(config_dir, mount, ear)
    watch(reloader)
    await asyncio.sleep(0.2)

    mount.swap(live("monitoring:\n  log_level: debug\ntrading:\n  max_levrage: 2\n"))
    await eventually(lambda: ear.rejected, within_s=60)

    assert reloader.settings.monitoring.log_level == "info"
    assert "live/live.yaml line 4: there is no setting trading.max_levrage" in ear.rejected[0]
    assert "last good configuration stays" in ear.rejected[0]
    mount.swap(live("monitoring:\n  log_level: debug\n"))
    await eventually(lambda: reloader.settings.monitoring.log_level == "debug", within_s=60)
    assert reloader.rejected == 1


async def test_reload_plain_file_is_seen(config_dir: Path, mount: Mount, watch: Callable[[Reloader], object]) -> None:
    reloader = make(config_dir, mount, Ear(), at_bar=False)
    watch(reloader)
    await asyncio.sleep(0.2)

    (config_dir / "base.yaml").write_text("trading:\n  max_leverage: 2\n")

    await eventually(lambda: reloader.settings.trading.max_leverage == 2, within_s=60)


async def test_reload_content_hash_finds_what_the_watch_has_missed(config_dir: Path, mount: Mount) -> None:
    reloader = make(config_dir, mount, Ear())
    assert not await reloader.check()

    mount.swap(live("monitoring:\n  log_level: error\n"))

    assert await reloader.check()
    assert reloader.settings.monitoring.log_level == "error"


def test_marks_move_with_a_swap_and_a_write_and_with_nothing_else(config_dir: Path, mount: Mount) -> None:
    """A file of the same length and time counts as another one when it is another inode."""
    before = marks([config_dir, mount.directory])
    assert len(before) == 2
    assert marks([config_dir, mount.directory]) == before

    mount.swap(live("monitoring:\n  log_level: warn\n"))
    swapped = marks([config_dir, mount.directory])
    (config_dir / "base.yaml").write_text("trading:\n  max_leverage: 2\n")
    os.utime(config_dir / "base.yaml", ns=(1, 1))

    assert swapped != before
    assert marks([config_dir, mount.directory]) != swapped
    assert marks([config_dir / "absent"]) == ()


@pytest.mark.req("0.44", "0.73", "0.37")
async def test_reload_bar_field_waits_for_the_bar_and_restart_field_for_the_restart(
    config_dir: Path, mount: Mount
) -> None:
    ear = Ear()
    reloader = make(config_dir, mount, ear)

    mount.swap(live("cosmic:\n  enabled: true\nredis:\n  pool_size: 9\nmonitoring:\n  drain_s: 9\n"))
    await reloader.check()
    assert (reloader.settings.cosmic.enabled, reloader.settings.monitoring.drain_s) == (False, 9.0)
    assert reloader.waiting
    assert ear.applied[0].restart == ("redis.pool_size",)

    await reloader.at_bar()
    assert reloader.settings.cosmic.enabled
    assert reloader.settings.redis.pool_size == Settings().redis.pool_size
    assert not reloader.waiting
    assert not await reloader.at_bar()


async def test_reload_refusal_of_the_service_keeps_the_old_settings(config_dir: Path, mount: Mount) -> None:
    ear = Ear(refuse="the lane is too narrow")
    reloader = make(config_dir, mount, ear)

    mount.swap(live("monitoring:\n  log_level: error\n"))
    await reloader.check()

    assert reloader.settings.monitoring.log_level == "info"
    assert "the lane is too narrow" in ear.rejected[0]


class Bars(BaseService):
    """A service that has bars."""

    name = "bars"
    applies_at_bar = True


@pytest.mark.req("0.29", "0.37", "2.42", "4.13")
async def test_reload_service_follows_its_files_and_tells_everybody(config_dir: Path, mount: Mount) -> None:
    loaded = load(config_dir=config_dir, environ={"OMEGA_LIVE_DIR": str(mount.directory)})
    bus = MemoryBus(source="bars/1")
    service = Bars(settings=loaded.settings, bus=bus)
    service.levels = Levels()
    service.watch_config(Reloader(loaded))
    await service.initialize()
    await service.start()
    await eventually(lambda: service.phase is State.READY)
    await asyncio.sleep(0.2)

    mount.swap(live("monitoring:\n  log_level: debug\ncosmic:\n  enabled: true\n"))
    await eventually(lambda: service.settings.monitoring.log_level == "debug", within_s=60)
    assert not service.settings.cosmic.enabled
    await service.at_bar()
    assert service.settings.cosmic.enabled
    mount.swap(live("cosmic:\n  enabled: maybe\n"))
    await eventually(lambda: service.get_metrics().get('omega_config_rejected_total{service="bars"}') == 1, within_s=60)

    told = [entry.envelope.data for entry in await bus.history(bus.topics.config())]
    await service.shutdown()
    outcomes = [(message.applied, message.generation) for message in told if isinstance(message, ConfigChanged)]
    assert outcomes == [(True, 1), (True, 2), (False, 2)]
    assert len(told) == len(outcomes)
    assert service.levels.of("omega.bus") == 10
    assert service.get_metrics()['omega_config_generation{service="bars"}'] == 2
