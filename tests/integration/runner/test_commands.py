"""What people may tell a bot: pause, resume, drain, flatten, stop; each is answered and survives a restart."""

from __future__ import annotations

import time
from typing import Any

import pytest

from omega.bus import Verb
from omega.bus.standing import keep_standing
from omega.domain import Action, Side
from omega.testing.service_contract import eventually

from .conftest import BOT, DROP, JUMP


@pytest.mark.parametrize("target", [BOT, "farm"])
async def test_commands_pause_stops_entries_and_not_exits(target: str, desk: Any) -> None:
    await desk.fill(Side.BUY, "0.5", "960")
    await desk.command(Verb.PAUSE, target=target)
    (answer,) = await desk.answered(1)
    await desk.close(JUMP)
    await desk.close(DROP)
    await desk.decided(2)
    await desk.fill(Side.SELL, "0.5", "900")
    await desk.close(JUMP + 50)

    made = await desk.decided(3)

    assert (answer.stage, answer.target) == ("applied", BOT)
    assert made[-1].decision.side == 1
    assert made[-1].intents == ()
    assert [intent.action for intent in await desk.intents()] == [Action.EXIT]


async def test_commands_resume_allows_entries_again(desk: Any) -> None:
    await desk.command(Verb.PAUSE)
    await desk.command(Verb.RESUME)
    await desk.answered(2)
    await desk.close(JUMP)
    await desk.decided(1)

    assert [intent.action for intent in await desk.intents()] == [Action.ENTER]


async def test_commands_resume_that_came_too_late_is_refused(desk: Any) -> None:
    """A verb that adds risk expires; one that takes risk away never does."""
    late = time.time_ns() - 1
    await desk.command(Verb.PAUSE, deadline_ns=late)
    await desk.command(Verb.RESUME, deadline_ns=late)
    answers = await desk.answered(2)

    assert [answer.stage for answer in answers] == ["applied", "refused"]
    assert (await desk.status()).state == "paused"


async def test_commands_pause_survives_a_kill(desk: Any) -> None:
    await desk.command(Verb.PAUSE)
    await desk.answered(1)
    await desk.kill()
    await desk.start()
    await desk.close(JUMP)
    await desk.decided(1)

    assert (await desk.status()).state == "paused"
    assert await desk.intents() == []


async def test_commands_flatten_closes_the_position_and_pauses(desk: Any) -> None:
    await desk.fill(Side.SELL, "0.5", "960")
    await desk.command(Verb.FLATTEN, command_id="one")
    (answer,) = await desk.answered(1)
    (intent,) = await desk.intents()

    assert (intent.action, intent.side, str(intent.size)) == (Action.FLATTEN, Side.BUY, "0.5")
    assert intent.reduces
    assert "alice" in intent.reason
    assert (answer.stage, (await desk.status()).state) == ("applied", "paused")


async def test_commands_flatten_without_a_position_only_pauses(desk: Any) -> None:
    await desk.command(Verb.FLATTEN)
    (answer,) = await desk.answered(1)

    assert answer.detail == "paused"
    assert await desk.intents() == []


async def test_commands_flatten_the_farm_leaves_the_positions_to_the_gateway(desk: Any) -> None:
    await desk.fill(Side.BUY, "0.5", "960")
    await desk.command(Verb.FLATTEN, target="farm")
    (answer,) = await desk.answered(1)

    assert "gateway" in answer.detail
    assert await desk.intents() == []


async def test_commands_drain_waits_for_the_strategy_to_leave_and_ends(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.command(Verb.DRAIN)
    await desk.answered(1)
    await desk.close(DROP)
    await desk.decided(2)
    assert not desk.bot.stopping

    await desk.fill(Side.SELL, "0.5", "900")
    await desk.close(DROP - 1)
    await eventually(lambda: desk.bot.stopping, within_s=60, what="the end of the drained bot")

    assert [intent.action for intent in await desk.intents()] == [Action.ENTER, Action.EXIT]


async def test_commands_stop_ends_the_process_and_sends_nothing(desk: Any) -> None:
    await desk.fill(Side.BUY, "0.5", "960")
    await desk.command(Verb.STOP)
    (answer,) = await desk.answered(1)
    await eventually(lambda: desk.bot.stopping, within_s=60, what="the stop")

    assert "stops stay" in answer.detail
    assert await desk.intents() == []


async def test_commands_halt_release_is_the_gateways_business(desk: Any) -> None:
    """A halt pauses entries; releasing it is decided where the account is."""
    await desk.command(Verb.RELEASE, target="farm")
    await desk.command(Verb.HALT, target="farm")
    answers = await desk.answered(1)

    assert [answer.command_id for answer in answers] == ["halt-farm"]
    assert (await desk.status()).state == "paused"


async def test_commands_standing_order_of_the_gateway_is_taken_at_the_start(desk: Any) -> None:
    """The bus has forgotten everything, or the order was given while the bot was dead: the gateway has kept it."""
    await desk.kill()
    await keep_standing(desk.bus, "alpha", "paused")
    await desk.start()
    await desk.close(JUMP)
    await desk.decided(1)

    assert (await desk.status()).state == "paused"
    assert await desk.intents() == []
    await desk.kill()
    await keep_standing(desk.bus, "alpha", "trading")
    await desk.start()
    assert (await desk.status()).state == "trading"


async def test_commands_adopt_is_the_gateways_business(desk: Any) -> None:
    await desk.command(Verb.ADOPT)
    await desk.command(Verb.PAUSE)

    assert [answer.command_id for answer in await desk.answered(1)] == ["pause-alpha"]
    assert desk.bot.ready
