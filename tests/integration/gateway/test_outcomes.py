"""The four outcomes of a send over the real wire with scripted faults: nothing is ever sent twice, nothing is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.domain import Action, OrderState, Side

PLACE = "/order/place-order"


def placed(bench: Any) -> int:
    """How many orders the venue has taken from the gateway."""
    return sum(order.source == "API" for order in bench.server.exchange.venue.book.orders.values())


@pytest.mark.req("0.54", "2.12")
async def test_send_delayed_beyond_the_time_out_is_found_by_its_client_id(make_bench: Any) -> None:
    async with make_bench(timeout_ms=200) as bench:
        await bench.fault("delay", path=PLACE, seconds=0.6)
        intent = bench.intent()
        await bench.send(intent)
        await bench.until(lambda: bench.order(intent) and bench.order(intent).state is OrderState.UNRESOLVED, "doubt")
        await bench.until(lambda: bench.order(intent).state is OrderState.WORKING, "the look-up")
        await bench.step()

        assert bench.order(intent).state is OrderState.FILLED
        assert placed(bench) == 1
        assert (await bench.invariants())["books_equal_venue"]


@pytest.mark.req("0.54")
async def test_send_dropped_before_execution_is_proven_absent_and_never_sent_again(make_bench: Any) -> None:
    async with make_bench(proof_of_absence_s=0.5) as bench:
        await bench.fault("drop_before", path=PLACE)
        intent = bench.intent()
        await bench.send(intent)
        await bench.until(lambda: bench.order(intent) and bench.order(intent).state is OrderState.UNRESOLVED, "doubt")
        blocked = bench.intent(bot="beta")
        await bench.send(blocked)
        await bench.until(lambda: bench.order(blocked), "the other bot's entry")
        assert (bench.order(blocked).state, bench.order(blocked).code) == (OrderState.DENIED, "unresolved")
        await bench.until(lambda: bench.order(intent).state is OrderState.REJECTED, "the proof")

        assert bench.order(intent).code == "absent"
        assert placed(bench) == 0


@pytest.mark.req("0.54")
async def test_send_dropped_after_execution_is_adopted(bench: Any) -> None:
    await bench.fault("drop_after", path=PLACE)
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    await bench.step()

    assert bench.order(intent).state is OrderState.FILLED
    assert placed(bench) == 1
    assert bench.size() == Decimal("0.01")


@pytest.mark.parametrize(("what", "more"), [("http_503", {}), ("code", {"code": "40725"}), ("code", {"code": "40015"})])
async def test_send_answered_with_doubt_is_looked_up_not_repeated(make_bench: Any, what: str, more: Any) -> None:
    async with make_bench(proof_of_absence_s=0.3) as bench:
        await bench.fault(what, path=PLACE, **more)
        intent = bench.intent()
        await bench.send(intent)
        await bench.until(lambda: bench.order(intent) and bench.order(intent).state is OrderState.REJECTED, "the proof")

        assert bench.order(intent).code == "absent"
        assert placed(bench) == 0


async def test_send_refused_with_proof_is_rejected_with_the_venues_code(bench: Any) -> None:
    await bench.fault("code", path=PLACE, code="40762")
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert (bench.order(intent).state, bench.order(intent).code) == (OrderState.REJECTED, "40762")


async def test_send_of_a_client_id_that_the_venue_knows_adopts_that_order(bench: Any) -> None:
    """A duplicate means that the order exists: it is found and taken over."""
    from omega.domain import client_id

    intent = bench.intent()
    body = {
        "symbol": "BTCUSDT",
        "productType": "USDT-FUTURES",
        "marginMode": "crossed",
        "marginCoin": "USDT",
        "size": "0.01",
        "side": "buy",
        "orderType": "market",
        "clientOid": client_id(intent.intent_id),
        "presetStopLossPrice": str(intent.stop),
    }
    assert (await bench.admin("POST", "/orders", body))["orderId"]
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    await bench.step()

    assert bench.order(intent).state is OrderState.FILLED
    assert bench.size() == Decimal("0.01")


async def test_intent_delivered_twice_makes_one_order(bench: Any) -> None:
    intent = bench.intent()
    await bench.send(intent)
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert placed(bench) == 1


async def test_answer_without_an_order_id_is_unresolved_and_then_found(bench: Any) -> None:
    orders, _ = bench.gateway.account.venue.clients
    plain = orders.create_order

    async def without_id(*args: Any, **kwargs: Any) -> Any:
        await plain(*args, **kwargs)
        return {"id": None}

    orders.create_order = without_id
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert bench.order(intent).state is OrderState.WORKING
    assert placed(bench) == 1


async def test_rate_limit_slows_the_lane_and_rejects(bench: Any) -> None:
    await bench.fault("code", path=PLACE, code="429")
    intent = bench.intent()
    await bench.send(intent)
    await bench.until(lambda: bench.order(intent) and bench.order(intent).state is OrderState.REJECTED, "the refusal")

    assert bench.gateway.account.turns.orders.tokens <= 0


async def test_exit_refused_for_its_rate_is_sent_again_and_fills(bench: Any) -> None:
    """A strategy that leaves on an event says so once; the refusal proves that nothing was done."""
    await bench.enter()
    await bench.fault("code", path=PLACE, code="429", times=2)
    leaving = bench.intent(action=Action.EXIT, side=Side.SELL)
    await bench.send(leaving)
    await bench.until(lambda: bench.order(leaving) and bench.order(leaving).state is OrderState.REJECTED, "the refusal")
    journal = bench.gateway.account.journal
    await bench.until(lambda: journal.in_state(OrderState.WORKING), "another order", within_s=20)
    await bench.step()

    assert bench.size() == 0
    assert bench.plans() == []
    assert not bench.gateway.account.halt.active


async def test_exit_refused_for_good_is_not_sent_again(bench: Any) -> None:
    await bench.enter()
    await bench.fault("code", path=PLACE, code="40762")
    leaving = bench.intent(action=Action.EXIT, side=Side.SELL)
    await bench.send(leaving)
    await bench.until(lambda: bench.order(leaving) and bench.order(leaving).state is OrderState.REJECTED, "the refusal")

    assert not bench.gateway.again._tasks
    assert bench.gateway.account.journal.values("again:") == {}


async def test_authentication_refused_halts_entries(bench: Any) -> None:
    await bench.fault("code", path=PLACE, code="40014")
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert bench.gateway.account.halt.active
    again = bench.intent()
    await bench.send(again)
    await bench.settle(0, again.intent_id)
    assert (bench.order(again).state, bench.order(again).code) == (OrderState.DENIED, "halt")


async def test_exit_goes_while_an_entry_is_unresolved(make_bench: Any) -> None:
    async with make_bench(timeout_ms=300) as bench:
        await bench.enter(bot="beta")
        await bench.fault("drop_before", path=PLACE)
        doubtful = bench.intent()
        await bench.send(doubtful)
        await bench.until(
            lambda: bench.order(doubtful) and bench.order(doubtful).state is OrderState.UNRESOLVED, "doubt"
        )
        leave = bench.intent(Action.EXIT, Side.SELL, bot="beta")
        await bench.send(leave)
        await bench.until(lambda: bench.order(leave) and bench.order(leave).state is OrderState.WORKING, "the exit")
        await bench.admin("POST", "/step")
        await bench.until(lambda: bench.size("beta") == 0, "flat")
