"""A killed runner comes back as it was: state from the bus, fills folded once, no bar decided twice or left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.domain import Action, Side
from omega.errors import CorruptData, TransientError
from omega.testing.service_contract import eventually
from services.runner.service import RunnerService
from services.runner.state import BotState

from .conftest import DROP, FALL, JUMP, settings


@pytest.mark.req("1.13", "2.38")
async def test_restore_after_kill_book_window_and_counts_are_back(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.close(JUMP + 5)
    await desk.decided(2)
    before = desk.bot.state.portfolio.state()
    await desk.kill()
    await desk.start()

    assert desk.bot.state.portfolio.state() == before
    assert desk.bot.state.fills == 1
    assert len(desk.bot.window) == len(FALL) + 2


async def test_restore_fill_while_away_is_folded_once(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.kill()
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.start()
    assert str(desk.bot.position) == "0.5"

    await desk.kill()
    await desk.start()

    assert str(desk.bot.position) == "0.5"
    assert desk.bot.state.fills == 1


async def test_restore_state_lost_book_is_rebuilt_from_the_fills(desk: Any) -> None:
    await desk.fill(Side.BUY, "0.5", "960")
    await desk.fill(Side.BUY, "0.5", "970")
    await desk.close(965.0)
    await desk.decided(1)
    await desk.kill()
    assert await desk.bus.take(desk.bus.topics.state("runner", "alpha")) is not None
    await desk.start()

    assert str(desk.bot.position) == "1.0"
    assert desk.bot.state.portfolio.position.entry == 965


@pytest.mark.req("1.13")
async def test_restore_bar_while_away_is_decided_on_once(desk: Any) -> None:
    """The newest bar that nobody decided on is decided on after the start; a further start adds nothing."""
    await desk.close(958.0)
    await desk.decided(1)
    await desk.kill()
    await desk.close(JUMP)
    await desk.start()
    made = await desk.decided(2)
    assert made[1].decision.side == 1

    await desk.kill()
    await desk.start()
    await desk.close(JUMP + 1)
    made = await desk.decided(3)

    assert len({one.decision.bar_ts_ns for one in made}) == len(made) == 3
    assert [intent.action for intent in await desk.intents()].count(Action.ENTER) == len(await desk.intents())
    assert len({intent.intent_id for intent in await desk.intents()}) == len(await desk.intents())


async def test_restore_old_bar_while_away_is_decided_on_and_enters_nothing(desk: Any) -> None:
    """What the gateway had in hand ten minutes ago is no reason to enter now."""
    await desk.close(958.0)
    await desk.decided(1)
    await desk.kill()
    await desk.close(JUMP, age_s=600)
    await desk.start()
    made = await desk.decided(2)

    assert (made[1].decision.side, made[1].intents) == (1, ())


async def test_restore_first_start_decides_on_no_history(desk: Any) -> None:
    await desk.close(JUMP)
    made = await desk.decided(1)

    assert len(made) == 1


async def test_restore_same_intent_after_kill_has_the_same_id(desk: Any) -> None:
    """A runner that died between intent and decision sends the same ids again: the gateway knows them."""
    await desk.close(958.0)
    await desk.close(JUMP)
    await desk.decided(2)
    first = await desk.intents()
    await desk.kill()
    await desk.start()
    await desk.bot._decide(received_ns=desk.bot._received_ns, cause="", corr="")

    assert await desk.intents() == first
    assert len(await desk.decisions()) == 2


@pytest.mark.req("2.38")
@pytest.mark.parametrize("text", ["{", '{"portfolio": {}}', "[]"])
async def test_restore_unsound_state_refuses_to_trade(text: str, make_desk: Callable[..., Any]) -> None:
    """A bot never trades on a state that it cannot read; it says what to delete and is not ready."""
    with pytest.raises(CorruptData, match="delete it"):
        BotState.load(text, Decimal(1))

    async with make_desk(start=False) as desk:
        await desk.bus.put(desk.bus.topics.state("runner", "alpha"), text)
        desk.runner = RunnerService(settings=settings(), bus=desk.bus.peer("runner/alpha"))
        await desk.runner.initialize()
        await desk.runner.start()
        await eventually(lambda: desk.runner.instrument is not None, within_s=60, what="the instrument")
        await desk.close(JUMP)
        await asyncio.sleep(0.3)

        assert not desk.runner.ready
        assert await desk.decisions() == []
        assert await desk.intents() == []


async def test_restore_exit_after_kill_closes_what_was_filled_before(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.kill()
    await desk.start()
    await desk.close(DROP)
    await desk.decided(2)

    assert [(one.action, str(one.size)) for one in await desk.intents()][-1] == (Action.EXIT, "0.5")


async def test_stop_whose_state_cannot_be_saved_still_closes_the_record(
    make_desk: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus may be gone at the end: the recorded session must be whole on the disk all the same."""
    async with make_desk(record=tmp_path) as desk:
        await desk.close(JUMP)
        await desk.decided(1)
        session = desk.bot._session

        async def gone(*_: object, **__: object) -> None:
            raise TransientError("the bus is away")

        monkeypatch.setattr(desk.bot.bus, "put", gone)
        await desk.bot.shutdown()
        monkeypatch.undo()

    assert session is not None
    assert desk.bot._session is None
