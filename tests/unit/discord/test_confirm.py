"""A question is good once, also when the bus goes away between asking and pressing."""

import pytest

from omega.bus import MemoryBus
from services.discord_bot.card import Confirm
from services.discord_bot.confirm import Questions

ASKED = Confirm("panic", {"scope": "entries"})


@pytest.fixture(name="bus")
def bus_fixture() -> MemoryBus:
    return MemoryBus(source="discord_bot/1")


async def ask(questions: Questions) -> str:
    return await questions.ask(ASKED, 7, now_ns=0, life_s=60)


async def test_question_is_taken_once(bus: MemoryBus):
    questions = Questions(bus)
    nonce = await ask(questions)

    looked, taken = await questions.look(nonce), await questions.take(nonce)

    assert looked == taken
    assert taken is not None
    assert (taken.actor, taken.action, taken.args, taken.expires_ns) == (
        7,
        "panic",
        {"scope": "entries"},
        60_000_000_000,
    )
    assert await questions.take(nonce) is None
    assert await questions.look(nonce) is None


async def test_two_processes_share_one_use(bus: MemoryBus):
    first, second = Questions(bus), Questions(bus.peer("discord_bot/2"))
    nonce = await ask(first)

    assert await second.look(nonce) is not None
    assert await second.take(nonce) is not None
    assert await first.take(nonce) is None


async def test_bus_down_at_the_press_lets_the_copy_decide_once(bus: MemoryBus):
    questions = Questions(bus)
    nonce = await ask(questions)
    bus.hub.down()

    assert await questions.look(nonce) is not None
    assert await questions.take(nonce) is not None
    assert await questions.take(nonce) is None


async def test_bus_down_at_the_question_lets_the_copy_decide_also_later(bus: MemoryBus):
    questions = Questions(bus)
    bus.hub.down()
    nonce = await ask(questions)
    assert await questions.look("unknown") is None
    bus.hub.up()

    assert await questions.take(nonce) is not None
    assert await questions.take(nonce) is None


async def test_copies_are_bounded(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.discord_bot.confirm._MEMORY", 3)
    questions = Questions(bus)
    nonces = [await ask(questions) for _ in range(5)]

    assert len(questions._copies) == 3
    assert await questions.look(nonces[0]) is not None  # the bus still has it
