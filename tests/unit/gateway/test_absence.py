"""An order is proven absent only when its request can no longer be accepted, however old the order is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from omega.domain import OrderState, Side
from services.gateway.memory_venue import MemoryVenue
from services.gateway.venue import OrderRequest, VenueOrder

from .adversity import BTC, RULES, D, Desk

LOOKS = 6
AGE_NS = 600 * 10**9


class LateVenue(MemoryVenue):
    """A venue at which a request arrives only after some looks have found nothing."""

    looks = 0

    def connected(self) -> bool:
        return True

    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        self.looks += 1
        if self.looks == LOOKS:
            await self.place(OrderRequest(client_id, symbol, Side.BUY, D("0.1"), reduce_only=False))
        return await super().order(symbol, client_id)


async def test_order_made_long_ago_whose_request_is_still_under_way_is_not_proven_absent(tmp_path: Path) -> None:
    """A gateway that was frozen between journal and send: the order is old, its request is young."""
    desk = Desk(
        tmp_path,
        LateVenue({BTC: RULES}, {BTC: D(1000)}),
        proof_of_absence_s=60,
        look_up_s=[0.001],
        look_up_every_s=0.001,
        unresolved_halt_s=86_400,
    )
    desk.entry(1, "ann", "0.1", created_ns=time.time_ns() - AGE_NS)
    desk.account.step("o1", OrderState.UNRESOLVED)

    desk.look_ups.begin("o1")
    async with asyncio.timeout(30):
        await desk.account.activity.until(lambda: not desk.look_ups.count)
    order = desk.journal.order("o1")
    await desk.look_ups.close()

    assert order is not None
    assert order.state is OrderState.WORKING
    assert not desk.account.halt.active
    desk.journal.close()
