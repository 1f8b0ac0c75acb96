"""A venue over hand-made candles, driven without sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from services.simulator import changing, placing
from services.simulator.account import AccountSpec
from services.simulator.candles import MINUTE_MS, Candles, candles
from services.simulator.exchange import Exchange
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.options import SimulatorOptions
from services.simulator.orders import Order, Plan

START = 1_746_403_200_000
Bar = tuple[float, float, float, float]


class Desk:
    """One account at one venue in lock-step, with the calls of a trader."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.venue = exchange.venue
        self.account = next(iter(self.venue.accounts.values()))
        self.told: list[Any] = []

    def place(self, side: str, size: object, kind: str = "market", **more: Any) -> Order:
        body = {"symbol": "BTCUSDT", "side": side, "size": str(size), "orderType": kind, **more}
        return placing.place(self.venue, self.account, Fields(body))

    def limit(self, side: str, size: object, price: object, **more: Any) -> Order:
        return self.place(side, size, "limit", price=str(price), **more)

    def barrier(self, kind: str, hold: str, trigger: object, **more: Any) -> Plan:
        body = {"symbol": "BTCUSDT", "planType": kind, "holdSide": hold, "triggerPrice": str(trigger), **more}
        return placing.place_barrier(self.venue, self.account, Fields(body))

    def trigger(self, side: str, size: object, trigger: object, **more: Any) -> Plan:
        body = {"symbol": "BTCUSDT", "side": side, "size": str(size), "triggerPrice": str(trigger), **more}
        return placing.place_plan(self.venue, self.account, Fields(body))

    def cancel(self, order: Order) -> None:
        changing.cancel(self.venue, self.account, Product.SWAP, Fields({"orderId": order.order_id}))

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.exchange.work_minute()
            self.told.extend(self.venue.outbox.drain())

    @property
    def prices(self) -> list[float]:
        return [float(trade.price) for trade in self.venue.book.trades]

    @property
    def size(self) -> Decimal:
        held = self.account.held("BTCUSDT")
        return sum((position.side * position.size for position in held), Decimal(0))


def series(bars: Sequence[Bar], volume: float = 10.0) -> Candles:
    table = np.array(bars, dtype=np.float64)
    ts = (START + np.arange(len(bars)) * MINUTE_MS).astype(np.float64)
    columns = dict(zip(("open", "high", "low", "close"), table.T, strict=True))
    return candles("BTCUSDT", {"ts": ts, **columns, "volume": np.full(len(bars), volume)})


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Open a desk one minute before the bars given; the price before them is 100000."""

    def make(*bars: Bar, **options: Any) -> Desk:
        flat = (100_000.0, 100_000.0, 100_000.0, 100_000.0)
        chosen = {"speed": 0, "warmup": 2, "slippage": 0.0, "limits": False, "accounts": (AccountSpec(),), **options}
        return Desk(Exchange(SimulatorOptions(**chosen), {"BTCUSDT": series([flat, flat, *bars, flat])}))

    return make
