"""The stop as a resource at the real wire: made again, resized, taken away, never doubled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import StopEvent, StopState
from omega.domain import Action, Fill, Role, Side


def stops(bench: Any) -> list[tuple[Decimal, Decimal]]:
    return sorted((plan.size, plan.trigger) for plan in bench.plans())


@pytest.mark.req("2.12")
async def test_stop_cancelled_by_hand_is_placed_again_with_our_client_id(bench: Any) -> None:
    intent = await bench.enter()
    [child] = bench.plans()
    await bench.admin(
        "POST", "/cancel", {"orderId": child.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    )
    await bench.until(lambda: bench.plans() and bench.plans()[0].client_oid.startswith("s"), "the new stop")
    await bench.settle()

    assert stops(bench) == [(Decimal("0.01"), intent.stop)]
    states = [event.state for event in await bench.events() if isinstance(event, StopEvent)]
    assert states == [StopState.PLACED, StopState.MISSING, StopState.PLACED]
    truth = await bench.invariants()
    assert truth["every_position_has_stop"]
    assert 0 < truth["naked_seconds_max"] < 5


@pytest.mark.parametrize("what", ["drop_before", "drop_after"])
async def test_stop_whose_placing_is_lost_stands_once(bench: Any, what: str) -> None:
    """The request lost, or its answer: the next look finds it or places another, and takes one of two away."""
    intent = await bench.enter()
    [child] = bench.plans()
    await bench.fault(what, path="place-tpsl-order")
    await bench.admin(
        "POST", "/cancel", {"orderId": child.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    )
    await bench.until(lambda: bench.plans() and bench.plans()[0].client_oid.startswith("s"), "the new stop")
    await bench.gateway.recovery.reconcile()
    await bench.settle()

    assert stops(bench) == [(Decimal("0.01"), intent.stop)]
    assert (await bench.invariants())["every_position_has_stop"]


async def test_stop_fires_and_the_fill_is_the_bots(bench: Any) -> None:
    price = bench.price()
    intent = await bench.enter(stop=str((price * Decimal("0.9995")).quantize(Decimal("0.1"))))
    for _ in range(200):
        if not bench.size():
            break
        await bench.step()

    assert bench.size() == 0
    fills = [event for event in await bench.events() if isinstance(event, Fill)]
    assert [(fill.bot, fill.role) for fill in fills] == [(intent.bot, Role.ENTRY), (intent.bot, Role.STOP)]
    assert StopState.FIRED in [event.state for event in await bench.events() if isinstance(event, StopEvent)]
    assert bench.plans() == []
    assert (await bench.invariants())["books_equal_venue"]


async def test_target_fires_and_the_stop_goes_away(bench: Any) -> None:
    price = bench.price()
    await bench.enter(target=str((price * Decimal("1.0005")).quantize(Decimal("0.1"))))
    assert len(bench.plans()) == 2
    for _ in range(400):
        if not bench.size():
            break
        await bench.step()

    roles = [event.role for event in await bench.events() if isinstance(event, Fill)]
    assert roles == [Role.ENTRY, Role.TARGET]
    assert bench.plans() == []


async def test_two_bots_on_one_symbol_have_a_stop_each_of_their_own_size(bench: Any) -> None:
    one, two = bench.intent(bot="alpha", size="0.01"), bench.intent(bot="beta", size="0.02", stop="80000")
    await bench.send(one, two)
    await bench.settle(0, one.intent_id, two.intent_id)
    await bench.step()

    assert stops(bench) == [(Decimal("0.01"), one.stop), (Decimal("0.02"), two.stop)]
    leave = bench.intent(Action.EXIT, Side.SELL, bot="alpha")
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()
    assert stops(bench) == [(Decimal("0.02"), two.stop)]
    assert (await bench.invariants())["every_position_has_stop"]


async def test_opposing_bots_leave_stops_for_the_net_alone(bench: Any) -> None:
    await bench.enter(bot="alpha", size="0.03")
    await bench.enter(bot="beta", side=Side.SELL, size="0.01")

    assert [size for size, _ in stops(bench)] == [Decimal("0.02")]
    assert (bench.size("alpha"), bench.size("beta")) == (Decimal("0.03"), Decimal("-0.01"))
    truth = await bench.invariants()
    assert truth["books_equal_venue"], truth
    assert truth["every_position_has_stop"], truth
    leave = bench.intent(Action.EXIT, Side.SELL, bot="alpha", size="0.03")
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()
    assert bench.size("alpha") == 0
    assert [size for size, _ in stops(bench)] == [Decimal("0.01")]
    assert (await bench.invariants())["books_equal_venue"]


async def test_position_opened_by_hand_is_external_and_gets_no_stop_of_ours(bench: Any) -> None:
    body = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginMode": "crossed", "marginCoin": "USDT"}
    await bench.admin("POST", "/orders", {**body, "size": "0.02", "side": "buy"})
    await bench.step()

    assert bench.size("external") == Decimal("0.02")
    assert bench.plans() == []
    assert (await bench.invariants())["books_equal_venue"]


async def test_doubled_stop_is_taken_away(bench: Any) -> None:
    intent = await bench.enter()
    venue = bench.gateway.account.venue
    from services.gateway.venue import PlanKind, PlanRequest

    await venue.place_plan(
        PlanRequest("sdoubled0001", intent.symbol, Side.SELL, Decimal("0.01"), intent.stop, PlanKind.STOP)
    )
    await bench.until(lambda: len(bench.plans()) == 1, "one stop")
    await bench.settle()

    assert stops(bench) == [(Decimal("0.01"), intent.stop)]


async def test_reconciliation_beside_a_look_places_no_second_stop(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop of the first is on its way, and nothing at the venue tells of it, when the second comes to look."""
    intent = await bench.enter()
    [child] = bench.plans()
    venue, sent = bench.gateway.account.venue, list[str]()
    place, on_its_way, go = venue.place_plan, asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        sent.append(request.client_id)
        on_its_way.set()
        await go.wait()
        return await place(request)

    monkeypatch.setattr(venue, "place_plan", slow)
    await bench.admin(
        "POST", "/cancel", {"orderId": child.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    )
    await asyncio.wait_for(on_its_way.wait(), 60)
    second = asyncio.create_task(bench.gateway.recovery.reconcile())
    await asyncio.wait({second}, timeout=0.5)
    go.set()
    await asyncio.wait_for(second, 60)
    await bench.settle()

    assert len(sent) == 1
    assert stops(bench) == [(Decimal("0.01"), intent.stop)]


async def test_legs_of_one_entry_keep_their_own_targets(bench: Any) -> None:
    """Three intents of one decision: each leg has its stop and its target, and a target takes its own leg away."""
    price = bench.price()
    near, far = str((price * Decimal("1.0006")).quantize(Decimal("0.1"))), str((price * 2).quantize(Decimal("0.1")))
    one = bench.intent(size="0.01", target=near)
    bench.bars -= 1
    two = bench.intent(size="0.02", target=far)
    two = replace(two, intent_id=one.intent_id[:-1] + "1")
    await bench.send(one, two)
    await bench.settle(0, one.intent_id, two.intent_id)
    await bench.step()
    assert sorted((plan.size, str(plan.kind)) for plan in bench.plans()) == [
        (Decimal("0.01"), "loss_plan"),
        (Decimal("0.01"), "profit_plan"),
        (Decimal("0.02"), "loss_plan"),
        (Decimal("0.02"), "profit_plan"),
    ]
    for _ in range(400):
        if bench.size() != Decimal("0.03"):
            break
        await bench.step()

    assert bench.size() == Decimal("0.02")
    assert stops(bench) == [(Decimal("0.02"), two.stop), (Decimal("0.02"), Decimal(far))]
    assert bench.gateway.keeper.naked_max_s == 0
    assert (await bench.invariants())["every_position_has_stop"]
