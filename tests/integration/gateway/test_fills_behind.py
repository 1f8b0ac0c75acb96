"""The news that an order is filled overtakes its execution: in between it counts all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from omega.domain import Action, OrderState, Side


async def overtaken(bench: Any, intent: Any) -> None:
    """Let the venue fill an order and tell its state, while the execution does not come."""
    private = bench.gateway.private
    private.take_trades = lambda _trades: 0
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    await bench.admin("POST", "/step")
    await bench.until(lambda: bench.order(intent).state is OrderState.FILLED, "the news of the order")


async def test_entry_that_is_filled_and_not_booked_counts_against_the_limit(make_bench: Any) -> None:
    async with make_bench(reconcile_s=600) as bench:
        trading = bench.gateway.settings.trading
        limit = bench.price() * Decimal("0.015")
        tight = trading.model_copy(update={"max_notional": limit})
        settings = bench.gateway.settings
        await bench.gateway.on_config(settings, settings.model_copy(update={"trading": tight}))
        first = bench.intent(size="0.01")
        await overtaken(bench, first)
        assert bench.size() == 0

        second = bench.intent(bot="beta", size="0.01")
        await bench.send(second)
        await bench.until(lambda: bench.order(second), "the verdict")

        assert (bench.order(second).state, bench.order(second).code) == (OrderState.DENIED, "notional")
        del bench.gateway.private.take_trades
        await bench.gateway.recovery.read_trades()
        assert bench.size() == Decimal("0.01")
        assert bench.gateway.account.ahead() == []


async def test_exit_that_is_filled_and_not_booked_is_not_sent_again(make_bench: Any) -> None:
    async with make_bench(reconcile_s=600) as bench:
        await bench.enter()
        leave = bench.intent(Action.EXIT, Side.SELL)
        await overtaken(bench, leave)
        assert bench.size() == Decimal("0.01")

        again = bench.intent(Action.EXIT, Side.SELL)
        await bench.send(again)
        await bench.until(lambda: bench.order(again), "the verdict")

        assert (bench.order(again).state, bench.order(again).code) == (OrderState.DENIED, "closing")
        del bench.gateway.private.take_trades
