"""The cases of the conformance suite that need the wire server: what leaves, what an error proves, what is heard.

Subclass it beside `VenueContract` for a venue that has a fixture; the numbers go on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import pytest

from omega.domain import Side
from omega.errors import ConfigError, Rejected, Unresolved
from omega.testing.venue_contract import Desk
from omega.testing.wire import Asked, Fault, WireServer

SECRETS = ("wire-secret", "d2lyZS1zZWNyZXQ=", "wire-pass")
"""What a desk signs with; none of it may leave."""


class WireDesk(Desk, Protocol):
    """A desk over the wire server.

    Attributes:
        server: the server behind the adapter.
        ticks, bars: the prices and candles that were heard.
        opened, lost: how often the private session was opened and lost.
    """

    server: WireServer
    ticks: Sequence[Any]
    bars: Sequence[Any]
    opened: int
    lost: int

    async def until(self, condition: Any, what: str) -> None:
        """Wait until a condition holds."""
        ...

    def unstarted(self, **more: Any) -> Any:
        """Return a fresh adapter with other options."""
        ...


class WireContract:
    """The cases. Each stands alone: a fresh desk with a flat account."""

    async def _size(self, desk: WireDesk) -> Decimal:
        size: Decimal = desk.venue.instruments[desk.symbol].min_size * 10
        return size

    async def test_21_entry_leaves_once_with_our_id_in_the_venues_field(self, desk: WireDesk) -> None:
        """One request; the id, the side and the size in contracts are where the venue wants them."""
        size, wire = await self._size(desk), desk.server.fixture.data["entry"]
        await desk.venue.place(desk.order("owire21", Side.BUY, size))

        [asked] = desk.server.calls(wire["route"])
        assert asked.fields[desk.venue.capabilities.client_id.field] == "owire21"
        assert str(asked.fields[wire["side"]]).lower() == "buy"
        assert Decimal(str(asked.fields[wire["size"]])) * desk.server.book.coins == size
        assert str(asked.fields.get(wire["reduce_only"], False)).lower() == "false"

    async def test_22_reduce_only_and_the_stop_travel_in_the_venues_words(self, desk: WireDesk) -> None:
        """An exit may only reduce; a stop of its own is sized, reduce-only and carries our id."""
        size, data = await self._size(desk), desk.server.fixture.data
        entry, stop = data["entry"], data["stop"]
        await desk.venue.place(desk.order("owire22", Side.SELL, size, reduce_only=True))
        await desk.venue.place_plan(desk.plan("swire22", Side.SELL, size, Decimal(60_000)))

        asked, planned = desk.server.calls(entry["route"])[0], desk.server.calls(stop["route"])[-1]
        rule = desk.venue.capabilities.client_id
        assert str(asked.fields[entry["reduce_only"]]).lower() == "true"
        assert planned.fields[rule.trigger_field or rule.field] == "swire22"
        assert Decimal(str(planned.fields[stop["trigger"]])) == Decimal(60_000)
        assert Decimal(str(planned.fields[stop["size"]])) * desk.server.book.coins == size
        assert str(planned.fields[stop["reduce_only"]]).lower() == "true"

    async def test_23_stop_rides_on_the_entry_where_the_venue_attaches_it(self, desk: WireDesk) -> None:
        """The attached stop is in the entry's own request; where none can be, nothing of it leaves."""
        size, data = await self._size(desk), desk.server.fixture.data
        await desk.venue.place(desk.order("owire23", Side.BUY, size, stop=Decimal(60_000), target=Decimal(70_000)))

        order = desk.server.book.orders[-1]
        attached = desk.venue.capabilities.stops == "attached"
        assert bool(order.stop) is attached
        assert not attached or Decimal(order.stop) == Decimal(60_000)
        text = desk.server.calls(data["entry"]["route"])[-1]
        assert ("60000" in f"{text.fields}") is attached
        assert "70000" not in f"{text.fields}"
        for name, value in data.get("attached", {}).items():
            assert str(text.fields[name]) == value, f"{name} says how the stop is attached"

    @pytest.mark.parametrize(
        ("how", "accepted"), [("500", True), ("500", False), ("drop", True), ("drop", False), ("hang", True)]
    )
    async def test_24_lost_answer_is_unresolved_and_never_sent_again(
        self, desk: WireDesk, how: str, *, accepted: bool
    ) -> None:
        """A server error, a dropped connection and a time-out prove nothing; the id finds what there is."""
        route = desk.server.fixture.data["entry"]["route"]
        desk.server.faults.append(Fault(route, how, accepted))
        with pytest.raises(Unresolved):
            await desk.venue.place(desk.order("owire24", Side.BUY, await self._size(desk)))

        found = await desk.venue.order(desk.symbol, "owire24")
        assert (found is not None) is accepted
        assert len(desk.server.calls(route)) == 1

    async def test_25_every_refusal_has_its_kind_and_outcome(self, desk: WireDesk) -> None:
        """The fixture's refusals, each served to an order: what is doubtful is unresolved, the rest a proof."""
        data = desk.server.fixture.data
        size, seen = await self._size(desk), set[str]()
        for number, case in enumerate(data["errors"]):
            desk.server.refusals[data["entry"]["route"]] = (case.get("status", 200), case["body"])
            with pytest.raises((Rejected, Unresolved)) as caught:
                await desk.venue.place(desk.order(f"owire25n{number}", Side.BUY, size))
            kind = case["kind"]
            seen.add(kind)
            doubtful = kind in {"UNRESOLVED", "DUPLICATE", "UNKNOWN"}
            assert isinstance(caught.value, Unresolved) is doubtful, (case, caught.value)
            if isinstance(caught.value, Rejected):
                assert caught.value.kind == kind, (case, caught.value)
        assert seen >= set(data["must_know"])

    async def test_26_no_secret_leaves_and_private_calls_are_signed(self, desk: WireDesk) -> None:
        """The secret signs and stays; the key travels in its header."""
        await desk.venue.balance()

        header, private = desk.server.fixture.data["key_header"], desk.server.fixture.data["private_route"]
        assert desk.server.calls(private)[-1].headers[header] == "wire-key"
        assert not [asked for asked in desk.server.asked if _leaks(asked)]

    async def test_27_prices_and_candles_are_heard(self, desk: WireDesk) -> None:
        """A push becomes prices around the last one, and rows of candles, in the farm's symbol."""
        await desk.server.push("last")
        await desk.server.push("ticker")
        await desk.server.push("candle")
        await desk.until(lambda: desk.ticks and desk.bars, "prices and candles")

        tick, bars = desk.ticks[-1], desk.bars[-1]
        assert (tick.symbol, bars.symbol, bars.timeframe) == (desk.symbol, desk.symbol, "1m")
        assert 0 < tick.bid < tick.last < tick.ask
        assert bars.rows[-1].checked().close == tick.last
        assert desk.venue.venue_ns() > 0

    async def test_28_stop_that_fires_is_told_as_fired(self, desk: WireDesk) -> None:
        """The push of a stop that fires says so, with side and size; its execution follows."""
        size = await self._size(desk)
        await desk.venue.place(desk.order("owire28", Side.BUY, size))
        await desk.fill()
        await desk.venue.place_plan(desk.plan("swire28", Side.SELL, size, Decimal(60_000)))
        await desk.server.push("plan", desk.server.book.plans[-1].slots())
        await desk.server.fire(desk.server.book.plans[-1])
        await desk.until(lambda: [plan for frame in desk.heard for plan in frame.plans if plan.fired], "the fired stop")

        fired = [plan for frame in desk.heard for plan in frame.plans if plan.fired][-1]
        assert (fired.symbol, fired.side, fired.size, fired.live) == (desk.symbol, Side.SELL, size, False)
        assert str(fired.kind) == "stop"
        assert await desk.venue.plans() == []
        assert [plan.order_id for plan in await desk.venue.past_plans(desk.symbol)] == [fired.order_id]

    async def test_29_lost_private_session_is_told_and_comes_back(self, desk: WireDesk) -> None:
        """Closing the sockets loses the session; it is subscribed anew, and pushes come again."""
        await desk.server.close_sockets()
        await desk.until(lambda: desk.lost and desk.opened > 1 and desk.venue.connected(), "the session")
        size = await self._size(desk)
        await desk.venue.place(desk.order("owire29", Side.BUY, size))
        await desk.fill()

        assert [trade.size for frame in desk.heard for trade in frame.trades] == [size]

    async def test_30_malformed_frame_does_not_end_the_stream(self, desk: WireDesk) -> None:
        """One frame that cannot be read costs the socket, not the stream."""
        await desk.server.send(desk.server.fixture.data["pushes"]["position"]["path"], '{"broken":')
        await desk.until(lambda: desk.venue.malformed and desk.opened > 1 and desk.venue.connected(), "the session")

        assert desk.venue.malformed >= 1

    async def test_31_account_in_hedge_mode_is_switched_or_refused(self, desk: WireDesk) -> None:
        """One-way mode is insisted on; a venue that knows no other is not asked."""
        hedge = desk.server.fixture.data.get("hedge")
        if hedge is None:
            assert "only" in desk.venue.capabilities.position_mode
            return
        desk.server.overrides[hedge["read"]] = hedge["answer"]
        await desk.venue.prove()
        [asked] = desk.server.calls(hedge["write"])
        assert str(asked.fields[hedge["field"]]) == str(hedge["value"])

        desk.server.refusals[hedge["write"]] = (hedge["refused"].get("status", 200), hedge["refused"]["body"])
        with pytest.raises(ConfigError, match="hedge mode"):
            await desk.venue.prove()

    async def test_32_key_that_may_withdraw_is_found_out(self, desk: WireDesk) -> None:
        """A right to move money away is seen, whatever the venue calls it."""
        rights = desk.server.fixture.data.get("withdraws")
        if rights is None:
            assert not desk.venue.capabilities.key_rights
            return
        desk.server.overrides[rights["route"]] = rights["answer"]

        assert await desk.venue.may_withdraw() is True

    async def test_33_funding_is_signed_as_cash_to_the_account(self, desk: WireDesk) -> None:
        """A payment is negative, whatever sign the venue gives it."""
        [bill] = await desk.venue.funding(desk.symbol)

        assert (bill.symbol, bill.amount) == (desk.symbol, Decimal("-0.375"))
        assert bill.funding_id
        assert bill.ts_ns == 1_570_608_000_000_000_000  # noqa: PLR2004 - the fixture's instant

    async def test_34_paper_mode_leads_to_the_paper_hosts(self, desk: WireDesk) -> None:
        """With `sandbox` every host that a client may call is the venue's paper one."""
        client = desk.unstarted(sandbox=True, rest_url="", ws_url="").make_client()
        try:
            wanted = desk.server.fixture.data["paper"]
            text = f"{client.urls['api']}{client.headers}"
            assert [part for part in wanted["has"] if part not in text] == []
            assert [part for part in wanted["lacks"] if part in text] == []
        finally:
            await client.close()

    async def test_35_positions_are_pushed_whole(self, desk: WireDesk) -> None:
        """After a read, a push of one position names every open one, signed and in coins."""
        await desk.venue.positions()
        size = await self._size(desk)
        await desk.venue.place(desk.order("owire35", Side.SELL, size))
        await desk.fill()
        await desk.until(lambda: [frame for frame in desk.heard if frame.positions], "the position")

        [held] = [frame.positions for frame in desk.heard if frame.positions][-1]
        assert (held.symbol, held.size) == (desk.symbol, -size)

    async def test_36_public_prices_need_no_account(self, desk: WireDesk) -> None:
        """Without keys and sockets the newest prices can be read, for the price that venues agree on."""
        source = desk.unstarted(api_key="", api_secret="", passphrase="")
        try:
            await source.open_public()
            [tick] = await source.prices([desk.symbol])
        finally:
            await source.close()

        assert tick.symbol == desk.symbol
        assert 0 < tick.bid < tick.last < tick.ask

    async def test_37_sends_at_once_do_not_mix(self, desk: WireDesk) -> None:
        """Many orders in flight keep their ids apart."""
        size = await self._size(desk)
        names = [f"owire37n{number}" for number in range(12)]
        acks = await asyncio.gather(*(desk.venue.place(desk.order(name, Side.BUY, size)) for name in names))

        placed = {order.client_id: order.order_id for order in desk.server.book.orders}
        assert [placed[ack.client_id] for ack in acks] == [ack.order_id for ack in acks]
        assert sorted(placed) == sorted(names)


def _leaks(asked: Asked) -> bool:
    told = f"{asked.path} {asked.fields} {asked.text} {asked.headers}"
    return any(secret in told.replace("wire-pass", "", int("PASSPHRASE" in told)) for secret in SECRETS[:2])
