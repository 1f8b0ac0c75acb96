"""A runner with psychology and cosmic factors on: it asks for the sky of the hour, and reacts, reloads and recovers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from omega.bus import Scalar, Verb
from omega.domain import FeedState, Reading, Side
from omega.testing.service_contract import eventually
from services.runner.replay import Replay
from services.runner.sky import HOUR_NS

from .conftest import BOT, JUMP, SYMBOL, Desk, settings

PLAN = {"strategy": "ema_cross", "symbol": SYMBOL, "params": {"fast": 2, "slow": 3}}


def plan(**more: str) -> dict[str, Any]:
    return {"bots": {BOT: {**PLAN, **more}}}


def moon(as_of_ns: int, degrees: float) -> Reading:
    return Reading("moon_phase", 0.0, degrees, "degree", "", "test", as_of_ns, 3_600, 1.0, FeedState.CALCULATED)


class Observatory:
    """A cosmic service: the moon stands at 180 degrees, full, in every hour."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.trouble: Exception | None = None

    async def answer(self, method: str, params: Mapping[str, Scalar]) -> object:
        assert method == "at"
        at_ns = int(str(params["at"]))
        self.asked.append(at_ns)
        if self.trouble is not None:
            raise self.trouble
        other = moon(at_ns, 0.0)
        rows = [asdict(moon(at_ns, 180.0)), {**asdict(other), "factor": "mercury_retrograde"}]
        return {"at": "", "factors": [row | {"age_s": 0.0} for row in rows]}


@contextlib.asynccontextmanager
async def open_sky(desk: Desk) -> AsyncIterator[Observatory]:
    sky = Observatory()
    serving = asyncio.create_task(desk.bus.peer("cosmic/1").serve("cosmic", sky.answer))
    try:
        yield sky
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def size_of_entry(desk: Desk) -> float:
    """The size that the newest bar's decision enters with."""
    await desk.close(JUMP)
    made = (await desk.decided(1))[-1]
    return made.decision.size


async def test_runner_asks_for_the_sky_once_an_hour_and_decides_by_it(make_desk: Callable[..., Any]) -> None:
    async with make_desk() as plain:
        before = await size_of_entry(plain)
    async with make_desk(start=False, **plan(cosmic="only_moon_phase")) as desk, open_sky(desk) as sky:
        await desk.start()
        after = await size_of_entry(desk)
        for _ in range(60):
            await desk.close(JUMP)
        await desk.decided(61)
        seen = [one.factor for one in desk.bot.bot.readings]

    # A full moon adds half the share: as of the hour before the close, asked for once an hour.
    assert after == pytest.approx(1.5 * before)
    assert sky.asked == [HOUR_NS, 2 * HOUR_NS]
    assert seen == ["moon_phase"]


async def test_runner_whose_sky_does_not_answer_trades_on_without_it(
    make_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neutral, without waiting at every bar; and what is published by itself is used from its next full hour on."""
    monkeypatch.setattr("services.runner.service.AT_START_S", 0.05)
    async with make_desk() as plain:
        before = await size_of_entry(plain)
    async with make_desk(**plan(cosmic="only_moon_phase")) as desk:
        began = time.monotonic()
        neutral = await size_of_entry(desk)
        waited = time.monotonic() - began
        asked = await desk.bus.history(desk.bus.topics.request("cosmic"))
        await desk.bus.send(moon(HOUR_NS, 180.0))
        await eventually(lambda: desk.bot.bot.readings != (), what="the published reading")

    assert neutral == before
    assert waited < 0.9
    assert len(asked) == 1


async def test_runner_whose_sky_answers_with_an_error_trades_on(make_desk: Callable[..., Any]) -> None:
    """Even an error that would end a process of the service's own ends no bot."""
    from omega.errors import InvariantBroken

    async with make_desk(start=False, **plan(cosmic="only_moon_phase")) as desk, open_sky(desk) as sky:
        sky.trouble = InvariantBroken("the sky fell")
        await desk.start()
        assert await size_of_entry(desk) > 0
        assert len(sky.asked) == 1


async def test_runner_without_cosmic_factors_asks_nobody(make_desk: Callable[..., Any]) -> None:
    async with make_desk(start=False) as desk, open_sky(desk) as sky:
        await desk.start()
        await size_of_entry(desk)
        await desk.bus.send(moon(HOUR_NS, 180.0))
        await desk.close(JUMP)
        await desk.decided(2)

        assert (sky.asked, desk.bot.bot.readings) == ([], ())


FARM = {"cosmic": {"enabled": True, "factors": {"moon_phase": {"enabled": True, "weight": 1.0}}}}
"""The farm's own factors with the master switch on."""


@pytest.mark.req("0.19")
@pytest.mark.parametrize("changed", [plan(cosmic="only_moon_phase"), FARM], ids=["preset", "master switch"])
async def test_runner_sky_switched_on_at_a_bar_loses_no_command(
    changed: dict[str, Any], make_desk: Callable[..., Any]
) -> None:
    """The next decision goes by it, its readings are followed, and what comes meanwhile is carried out."""
    async with make_desk() as desk, open_sky(desk) as sky:
        before = await size_of_entry(desk)
        await desk.bot.on_config(desk.bot.settings, settings(**changed))
        await desk.close(900.0)
        await desk.decided(2)
        await desk.command(Verb.PAUSE)
        await desk.close(JUMP)
        made = await desk.decided(3)
        await desk.answered(1)
        await desk.bus.send(moon(2 * HOUR_NS, 90.0))
        await eventually(lambda: "moon_phase" in desk.bot.bot._hours._kept, what="the reading")
        status = await desk.status()

    assert before > 0
    assert sky.asked == [HOUR_NS]
    assert {entry.stage for entry in made[2].decision.audit} >= {"cosmic"}
    assert status.state == "paused"


@pytest.mark.req("4.19")
async def test_runner_killed_in_mid_trip_goes_on_with_the_same_mind(
    make_desk: Callable[..., Any], tmp_path: Path
) -> None:
    """A loss, then a kill between entry and exit: the mind is that of a runner that lived on; its session replays."""
    minds = []
    for kill in (False, True):
        record = tmp_path / str(kill)
        async with make_desk(record=record, **plan(psychology="newbie", cosmic="off")) as desk:
            await desk.close(JUMP)
            await desk.fill(Side.BUY, "0.1", "1010")
            await desk.close(JUMP - 1)
            await desk.fill(Side.SELL, "0.1", "800")
            await desk.close(900.0)
            await desk.decided(3)
            await desk.fill(Side.BUY, "0.1", "900")
            await desk.close(901.0)
            await desk.decided(4)
            if kill:
                await desk.kill()
                await desk.start()
            await desk.fill(Side.SELL, "0.1", "700")
            await desk.close(700.0)
            await desk.decided(5)
            status = await desk.status()
            minds.append((desk.bot.state.temper.mind, status.emotion))
        outcome = Replay(record / f"{BOT}.session.jsonl").run().as_json()
        assert outcome["ok"], outcome["differences"]

    assert minds[0] == minds[1]
    assert minds[0][0][7] == 2  # two losses in a row
    assert minds[0][1] not in {"", "neutral"}


@pytest.mark.req("0.15")
async def test_runner_told_of_an_event_and_calmed_changes_its_mind_and_keeps_it_over_a_kill(
    make_desk: Callable[..., Any], tmp_path: Path
) -> None:
    """A command record like any other: answered, folded, saved, recorded; a killed runner comes back in its mood."""
    async with make_desk(record=tmp_path, **plan(psychology="newbie", cosmic="off")) as desk:
        first = (await desk.status()).mind
        await desk.command(Verb.STIR, event="black_swan_event")
        (answer,) = await desk.answered(1)
        await desk.kill()
        await desk.start()
        stirred = (await desk.status()).mind
        size = await size_of_entry(desk)
        await desk.command(Verb.CALM)
        await desk.answered(2)
        calmed = (await desk.status()).mind

    assert (answer.stage, answer.detail) == ("applied", "the trader has heard of black_swan_event")
    assert stirred.emotion == "panic"
    assert stirred.stress > first.stress
    assert 0.0 <= stirred.sizes < 1.0
    assert size >= 0.0
    assert calmed == first
    outcome = Replay(tmp_path / f"{BOT}.session.jsonl").run().as_json()
    assert outcome["ok"], outcome["differences"]


@pytest.mark.parametrize(
    ("psychology", "verb", "event", "words"),
    [
        ("off", Verb.CALM, "", "psychology is off"),
        ("off", Verb.STIR, "crypto_hack", "psychology is off"),
        ("newbie", Verb.STIR, "meteor", "known are major_rate_decision"),
        ("newbie", Verb.STIR, "", "there is no event"),
    ],
)
async def test_runner_refuses_what_its_mind_cannot_do(
    make_desk: Callable[..., Any], psychology: str, verb: Verb, event: str, words: str
) -> None:
    """The answer says why; nothing has changed."""
    async with make_desk(**plan(psychology=psychology, cosmic="off")) as desk:
        before = desk.bot.state.dump()
        await desk.command(verb, event=event)
        (answer,) = await desk.answered(1)

        assert answer.stage == "refused"
        assert words in answer.detail
        assert desk.bot.state.dump() == before


async def test_runner_without_a_mind_lets_a_calm_for_the_farm_pass(make_desk: Callable[..., Any]) -> None:
    """To the farm it is no error that one bot has none."""
    async with make_desk(**plan(psychology="off", cosmic="off")) as desk:
        await desk.command(Verb.CALM, target="farm")
        (answer,) = await desk.answered(1)

        assert (answer.stage, answer.detail) == ("applied", "psychology is off here")
