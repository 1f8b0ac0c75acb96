"""What `omega topics` sees: streams, tails, findings."""

from __future__ import annotations

import asyncio
import json

from omega.bus.inspect import doctor, list_topics, tail
from omega.testing.bus_contract import decision, intent, numbers
from omega.testing.servers import ValkeyServer

from .conftest import Build


async def test_list_topics_shows_entries_and_groups(build: Build):
    bus = await build()
    await bus.send_many([decision("xyko", number) for number in range(3)])
    async with bus.records(bus.topics.decisions("xyko"), group="ledger", batch=2) as batches:
        await anext(batches)

    (info,) = await list_topics(bus)

    assert (info.topic, info.entries) == ("dev:evt:decision:xyko", 3)
    assert [(group.name, group.consumers, group.pending, group.lag) for group in info.groups] == [("ledger", 1, 2, 1)]
    assert info.memory > 0


async def test_tail_gives_the_last_entries_then_what_comes(build: Build):
    bus = await build()
    await bus.send_many([decision("xyko", number) for number in range(10)])
    lines = tail(bus, bus.topics.decisions("xyko"), count=3)

    got = [await anext(lines) for _ in range(3)]
    coming = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0.1)
    await bus.send(decision("xyko", 10))
    got.append(await asyncio.wait_for(coming, 3))
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
