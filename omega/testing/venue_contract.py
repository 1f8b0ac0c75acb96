"""The numbered conformance suite of venue adapters: subclass it, give it a `desk`, and every case runs.

A desk is one started adapter over a market that the test can move: a local exchange, the wire server, or a venue's
demo account. What only recorded requests can show is in `wire_contract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import pytest

from omega.domain import Side, client_id
from omega.errors import OmegaError, Rejected, Unresolved


class Desk(Protocol):
    """What a venue's test provides.

    Attributes:
        venue: the started adapter (the gateway's port `Venue`).
        symbol: a farm symbol that may be traded.
        heard: the private pushes so far, in order.
        tells_leverage: whether the venue's list of positions names the leverage.
    """

    venue: Any
    symbol: str
    heard: Sequence[Any]
    tells_leverage: bool

    def order(self, client_id: str, side: Side, size: Decimal, **more: Any) -> Any:
        """Form a market order."""
        ...

    def plan(self, client_id: str, side: Side, size: Decimal, trigger: Decimal) -> Any:
        """Form a sized stop."""
        ...

    async def price(self) -> Decimal:
        """Return the last price."""
        ...

    async def fill(self) -> None:
        """Let what is at the venue fill, and wait until the pushes have come."""
        ...


class VenueContract:
    """The cases. Each stands alone: a fresh desk with a flat account."""

    async def _open(self, desk: Desk, client_id: str = "ocontract1", **more: Any) -> Decimal:
        size: Decimal = desk.venue.instruments[desk.symbol].min_size * 10
        await desk.venue.place(desk.order(client_id, Side.BUY, size, **more))
        await desk.fill()
        return size

    async def test_01_instruments_carry_their_steps(self, desk: Desk) -> None:
        """Prices and sizes can be rounded by what the venue says, not by constants."""
        rules = desk.venue.instruments[desk.symbol]

        assert rules.price_step > 0
        assert rules.size_step > 0
        assert rules.min_size >= rules.size_step
        assert rules.max_leverage >= 1
        assert desk.venue.connected()

    async def test_02_candles_come_oldest_first_without_holes(self, desk: Desk) -> None:
        """History is in order and sound."""
        rows = await desk.venue.candles(desk.symbol, "1m", limit=50)

        stamps = [row.ts_ns for row in rows]
        assert len(rows) == 50  # noqa: PLR2004 - the limit above
        assert stamps == list(range(stamps[0], stamps[-1] + 1, 60_000_000_000))
        assert all(row.checked() is row for row in rows)

    async def test_03_unknown_order_is_none(self, desk: Desk) -> None:
        """Absence is an answer, not an error."""
        assert await desk.venue.order(desk.symbol, "onobodyknowsthis") is None

    async def test_04_order_is_found_by_its_client_id(self, desk: Desk) -> None:
        """What was placed can be proven to exist, before and after its fill."""
        size = desk.venue.instruments[desk.symbol].min_size * 10
        ack = await desk.venue.place(desk.order("ocontract4", Side.BUY, size))
        found = await desk.venue.order(desk.symbol, "ocontract4")
        await desk.fill()
        filled = await desk.venue.order(desk.symbol, "ocontract4")

        assert found.order_id == ack.order_id == filled.order_id
        assert (str(filled.status), filled.filled, filled.size) == ("filled", size, size)

    async def test_05_client_id_used_twice_never_makes_two_orders(self, desk: Desk) -> None:
        """A repeat raises (unresolved: the order exists) and changes nothing."""
        size = await self._open(desk, "ocontract5")
        with pytest.raises((Unresolved, Rejected)):
            await desk.venue.place(desk.order("ocontract5", Side.BUY, size))
        await desk.fill()

        assert [position.size for position in await desk.venue.positions()] == [size]

    async def test_06_position_gets_its_stop_from_the_entry_or_right_after_it(self, desk: Desk) -> None:
        """Where the venue attaches stops, the position is never without; elsewhere the stop is an order of its own."""
        rules = desk.venue.instruments[desk.symbol]
        stop = rules.price(await desk.price() * Decimal("0.9"))
        size = await self._open(desk, "ocontract6", stop=stop)
        if desk.venue.capabilities.stops == "separate":
            assert await desk.venue.plans() == []
            await desk.venue.place_plan(desk.plan("scontract6", Side.SELL, size, stop))

        [plan] = await desk.venue.plans()
        assert (plan.trigger, plan.size, plan.side, plan.live) == (stop, size, Side.SELL, True)
        assert str(plan.kind) == "stop"

    async def test_07_stop_is_placed_resized_and_cancelled_once(self, desk: Desk) -> None:
        """Stops are resources: sized, changeable, and a second cancel says that nothing was left."""
        rules = desk.venue.instruments[desk.symbol]
        size = await self._open(desk, "ocontract7")
        await desk.venue.place_plan(
            desk.plan("scontract7", Side.SELL, size, rules.price(await desk.price() * Decimal("0.9")))
        )
        [plan] = await desk.venue.plans()
        if desk.venue.capabilities.resize.name == "AMEND":
            await desk.venue.resize_plan(plan, size / 2)
        else:
            with pytest.raises(Rejected):
                await desk.venue.resize_plan(plan, size / 2)
            await desk.venue.place_plan(desk.plan("scontract7b", Side.SELL, size / 2, plan.trigger))
            assert await desk.venue.cancel_plan(plan)
        [smaller] = await desk.venue.plans()

        assert (plan.client_id, plan.size, smaller.size) == ("scontract7", size, size / 2)
        assert (smaller.trigger, smaller.side, smaller.kind) == (plan.trigger, plan.side, plan.kind)
        if desk.venue.capabilities.resize.name == "AMEND":
            assert smaller.order_id == plan.order_id
        assert await desk.venue.cancel_plan(smaller)
        assert await desk.venue.plans() == []
        assert not await _cancelled_again(desk, smaller)

    async def test_08_executions_carry_ids_and_fees(self, desk: Desk) -> None:
        """A trade names its order, and a paid fee is positive."""
        size = await self._open(desk, "ocontract8")
        [trade] = await desk.venue.trades(desk.symbol)

        assert (trade.client_id or "ocontract8", trade.size, trade.side) == ("ocontract8", size, Side.BUY)
        assert trade.fee > 0
        assert await desk.venue.trades(desk.symbol, since_ns=trade.ts_ns + 1) == []

    async def test_09_positions_are_signed(self, desk: Desk) -> None:
        """A short is negative; flat is no row."""
        size = desk.venue.instruments[desk.symbol].min_size * 10
        await desk.venue.place(desk.order("ocontract9a", Side.SELL, size))
        await desk.fill()
        [short] = await desk.venue.positions()
        await desk.venue.place(desk.order("ocontract9b", Side.BUY, size, reduce_only=True))
        await desk.fill()

        assert short.size == -size
        assert await desk.venue.positions() == []

    async def test_10_money_is_told(self, desk: Desk) -> None:
        """Equity and what is available."""
        money = await desk.venue.balance()

        assert money.equity >= money.available > 0

    async def test_11_pushes_are_numbered_and_tell_the_fill(self, desk: Desk) -> None:
        """The private socket tells orders and executions; its pushes count up by one."""
        size = await self._open(desk, "ocontract11")

        trades = [trade for frame in desk.heard for trade in frame.trades]
        states = [str(order.status) for frame in desk.heard for order in frame.orders]
        counts = [frame.count for frame in desk.heard]
        assert [(trade.client_id, trade.size) for trade in trades] == [("ocontract11", size)]
        assert trades[0].fee > 0
        assert states[-1] == "filled"
        assert counts == list(range(counts[0], counts[0] + len(counts)))

    async def test_12_refused_order_is_rejected_with_a_code(self, desk: Desk) -> None:
        """Proof that no order exists carries the venue's own code."""
        rules = desk.venue.instruments[desk.symbol]
        with pytest.raises(OmegaError) as caught:
            await desk.venue.place(desk.order("ocontract12", Side.BUY, rules.min_size * 10_000_000))

        assert isinstance(caught.value, Rejected)
        assert caught.value.code
        assert await desk.venue.order(desk.symbol, "ocontract12") is None

    async def test_13_leverage_is_set(self, desk: Desk) -> None:
        """The symbol's leverage is what was asked for."""
        await desk.venue.set_leverage(desk.symbol, 3)
        await desk.venue.set_leverage(desk.symbol, 3)
        await self._open(desk, "ocontract13")

        [position] = await desk.venue.positions()
        assert position.leverage == 3 or not desk.tells_leverage  # noqa: PLR2004 - as set above

    async def test_14_cancel_of_a_gone_order_says_so(self, desk: Desk) -> None:
        """Cancelling is idempotent."""
        await self._open(desk, "ocontract14")

        assert not await desk.venue.cancel(desk.symbol, client_id="ocontract14")

    async def test_15_key_that_only_trades_may_not_withdraw(self, desk: Desk) -> None:
        """The rights of the key can be read, or the adapter says that they cannot: then live mode is refused."""
        if not desk.venue.capabilities.key_rights:
            with pytest.raises(Rejected):
                await desk.venue.may_withdraw()
            return
        assert await desk.venue.may_withdraw() is False

    async def test_16_our_ids_fit_the_venues_rule(self, desk: Desk) -> None:
        """Whatever the bot is called, the same intent has the same id for ever, and the venue takes it."""
        rule = desk.venue.capabilities.client_id
        for bot in ("a", "fib-btc", "x" * 60, "Ünï çødé"):
            for prefix in "ost":
                made = client_id(f"{bot}:1746403200000000000:7", prefix=prefix)
                assert made == client_id(f"{bot}:1746403200000000000:7", prefix=prefix)
                assert rule.allows(made), (made, rule)
        assert not rule.allows("x" * (rule.longest + 1))
        assert not rule.allows("a b")

    async def test_17_finished_orders_are_listed_and_do_not_rest(self, desk: Desk) -> None:
        """What is over is in the history, with its id, and nowhere else."""
        size = await self._open(desk, "ocontract17")

        [order] = await desk.venue.past_orders(desk.symbol)
        assert (order.client_id, order.filled, str(order.status)) == ("ocontract17", size, "filled")
        assert await desk.venue.open_orders() == []

    async def test_18_exit_only_reduces(self, desk: Desk) -> None:
        """A reduce-only order closes, and the position is gone."""
        size = await self._open(desk, "ocontract18")
        await desk.venue.place(desk.order("ocontract18x", Side.SELL, size, reduce_only=True))
        await desk.fill()

        found = await desk.venue.order(desk.symbol, "ocontract18x")
        assert (found.side, found.reduce_only, found.filled) == (Side.SELL, True, size)
        assert await desk.venue.positions() == []


async def _cancelled_again(desk: Desk, plan: Any) -> bool:
    """Tell whether a second cancel claims to have done something."""
    try:
        return bool(await desk.venue.cancel_plan(plan))
    except (Unresolved, Rejected):
        return False
