"""What `omega topics` sees: streams, tails, findings."""

from __future__ import annotations

import asyncio
import json
from copy import copy
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from omega.bus.codec import Format, format_of
from omega.bus.inspect import doctor, drop_group, list_topics, surplus, tail
from omega.bus.messages import Message
from omega.bus.server_check import check_server
from omega.errors import ConfigError
from omega.testing.bus_contract import decision, intent, numbers
from omega.testing.servers import ValkeyServer

from .conftest import Build


async def test_list_topics_shows_entries_and_groups(build: Build):
    bus = await build()
    await bus.send_many([decision("xyko", number) for number in range(3)])
    async with bus.records(bus.topics.decisions("xyko"), group="ledger", batch=2) as batches, asyncio.timeout(30):
        await anext(batches)

    (info,) = await list_topics(bus)

    assert (info.topic, info.entries) == ("dev:evt:decision:xyko", 3)
    assert [(group.name, group.consumers, group.pending, group.lag) for group in info.groups] == [("ledger", 1, 2, 1)]
    assert info.memory > 0


async def test_tail_gives_the_last_entries_then_what_comes(build: Build):
    bus = await build()
    await bus.send_many([decision("xyko", number) for number in range(10)])
    lines = tail(bus, bus.topics.decisions("xyko"), count=3)

    async with asyncio.timeout(60):
        got = [await anext(lines) for _ in range(3)]
    coming = asyncio.ensure_future(anext(lines))
    await bus.send(decision("xyko", 10))
    got.append(await asyncio.wait_for(coming, 60))
    await lines.aclose()

    assert numbers(got) == [7, 8, 9, 10]


async def test_doctor_healthy_bus_has_nothing_to_say(build: Build):
    bus = await build()
    await bus.send(decision("xyko", 1))

    assert [finding.level for finding in await doctor(bus)] == ["ok"]


async def test_doctor_names_lag_missing_group_old_version_and_dead_letters(server: ValkeyServer, build: Build):
    bus = await build()
    await bus.send(intent(1))
    await bus.redis.xgroup_create(bus.topics.decisions("xyko"), "ledger", id="0", mkstream=True)
    await bus.send_many([decision("xyko", number) for number in range(60)])
    old = {"type": "audit", "v": 0, "id": "x", "src": "cli/old", "data": {}}
    await bus.redis.xadd(bus.topics.audit(), {"m": json.dumps(old)})
    await bus.redis.xadd(bus.topics.dead_letters(bus.topics.ledger()), {"m": "rubbish"})

    said = {f"{finding.subject}: {finding.text}" for finding in await doctor(bus) if finding.level != "ok"}

    assert any("no group gateway" in text for text in said)
    assert any("ledger is 60 behind" in text for text in said)
    assert any("cli/old sent 1 of audit version 0" in text for text in said)
    assert any("1 dead letters" in text for text in said)


async def test_doctor_names_a_dead_group_that_holds_its_stream_until_it_is_dropped(
    server: ValkeyServer, build: Build, monkeypatch: pytest.MonkeyPatch
):
    """A group that nobody serves keeps what it has not read: seen, measured, and given up by name."""
    monkeypatch.setattr("omega.bus.inspect.kept", lambda _: 200)
    monkeypatch.setattr("omega.bus.redis.format_of", _kept_for_200)
    bus = await build()
    topic = bus.topics.decisions("xyko")
    await bus.redis.xgroup_create(topic, "gone", id="0", mkstream=True)
    for start in range(0, 700, 100):
        await bus.send_many([decision("xyko", number) for number in range(start, start + 100)])

    before = await doctor(bus)
    held = await surplus(bus, bus.topics.decisions())
    unread = await drop_group(bus, topic, "gone")
    await bus.send_many([decision("xyko", number) for number in range(700, 800)])
    after = await doctor(bus)

    (finding,) = [one for one in before if "holds 500 entries beyond" in one.text]
    assert (finding.level, finding.subject) == ("bad", topic)
    assert f"omega topics drop-group {topic} gone" in finding.advice
    assert (held, unread) == (300, 700)
    assert not [one for one in after if "beyond" in one.text]
    assert await bus.redis.xlen(topic) <= 300
    assert await surplus(bus, bus.topics.decisions()) == 0
    with pytest.raises(ConfigError, match="no group 'gone'"):
        await drop_group(bus, topic, "gone")


@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("appendonly", "no", "append-only file is off"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
    ],
)
async def test_server_that_is_unfit_for_records_is_named_at_connect_and_by_the_doctor(
    server: ValkeyServer, build: Build, setting: str, value: str, hint: str
):
    sound = {"appendonly": "yes", "maxmemory-policy": "noeviction"}[setting]
    server.command("CONFIG", "SET", setting, value)
    try:
        with capture_logs() as logs:
            bus = await build()
        found = await doctor(bus)
    finally:
        server.command("CONFIG", "SET", setting, sound)

    assert [one.level for one in found if hint in one.text] == ["bad"]
    assert [log["finding"] for log in logs if log["event"] == "server.unfit" and hint in log["finding"]]


def test_server_check_reads_what_a_server_tells() -> None:
    """Role, disk and replicas, as INFO words them."""
    sound = {"aof_enabled": 1, "used_memory": 1 << 20, "role": "master", "min_slaves_good_slaves": 1}

    def said(*, watched: bool = False, **changes: object) -> list[str]:
        return [one.text for one in check_server({**sound, **changes}, "it", watched=watched) if one.level != "ok"]

    assert said(watched=True) == []
    assert "replica" in said(role="slave")[0]
    assert "could not be written" in said(aof_last_write_status="err")[0]
    assert "60 of" not in said(maxmemory=1 << 20)[0]
    without = {key: value for key, value in sound.items() if key != "min_slaves_good_slaves"}
    assert "min-replicas-to-write" in check_server(without, "it", watched=True)[0].text


def _kept_for_200(message: Message) -> Format:
    form = copy(format_of(message))
    form.spec = replace(form.spec, keep=200)
    return form
