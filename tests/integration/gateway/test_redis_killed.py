"""The gateway on a real Redis that is killed: stops are guarded past it, and the events follow later."""

from __future__ import annotations

import pytest

from omega.bus import OrderEvent
from omega.domain import OrderState, Side

from .conftest import RealBench

CANCEL = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES"}


@pytest.mark.req("0.28")
async def test_redis_killed_stops_are_guarded_and_exits_go_and_events_follow(real: RealBench) -> None:
    await real.enter(bot="alpha")
    await real.enter(bot="beta", side=Side.SELL, size="0.005")
    [stop] = real.plans()
    real.redis.kill()
    await real.admin("POST", "/cancel", {**CANCEL, "orderId": stop.order_id})
    await real.until(
        lambda: real.plans() and real.plans()[0].client_oid.startswith("s"), "the stop, made again", within_s=20
    )
    # Beta offsets alpha: no venue stop can carry it, the gateway watches its price by itself.
    guard = real.gateway.account.journal.guards("BTC-USDT.P", "beta")[0]
    assert guard.stop is not None
    await real.gateway.keeper.watch("BTC-USDT.P", real.price(), guard.stop + 1)
    journal = real.gateway.account.journal
    await real.until(  # journalled is not sent: the venue must have it before its clock goes on
        lambda: any(order.bot == "beta" for order in journal.in_state(OrderState.WORKING)), "the local stop's order"
    )
    await real.admin("POST", "/step")
    await real.until(lambda: real.size("beta") == 0, "beta flat", within_s=20)
    assert real.gateway.account.journal.pending(), "the events wait in the journal"
    real.redis.start()
    await real.until(lambda: real.gateway.outbox.clear, "the events on the bus", within_s=30)

    told = [event for event in await real.events() if isinstance(event, OrderEvent) and event.bot == "beta"]
    assert [event.state for event in told][-1] is OrderState.FILLED
    assert len({repr(event) for event in told}) == len(told)
