"""The venue's own words are heeded: too many requests pause everything, maintenance refuses entries."""

from __future__ import annotations

import pytest

from omega.config import Gateway
from omega.errors import Rejected, TransientError
from omega.resilience import Lane
from omega.telemetry import Metrics
from services.gateway.classify import Throttled, raised_read
from services.gateway.turns import Turns
from services.gateway.venue import EVERY_PLAN, VenueOptions
from services.gateway.venues.bitget import REFUSALS, Bitget


class RateLimitExceeded(Exception):  # noqa: N818 - ccxt's name
    """As ccxt spells it."""


@pytest.fixture
def turns() -> Turns:
    return Turns("bitget", Gateway(), Metrics())


def paused(turns: Turns) -> float:
    groups = turns.budget()["groups"]
    assert isinstance(groups, dict)
    return min(float(group["paused_s"]) for group in groups.values())


async def refused(turns: Turns, error: Exception) -> None:
    with pytest.raises(type(error)):
        async with turns.order(Lane.ENTRY, bot="ann"):
            raise error


async def test_refusal_for_rate_pauses_every_group_longer_each_time(turns: Turns) -> None:
    await refused(turns, Rejected("429", code="429", kind="RATE"))
    once = paused(turns)
    turns._throttle()

    assert 0.5 < once <= 1.0
    assert 1.0 < paused(turns) <= 2.0


async def test_retry_after_is_obeyed(turns: Turns) -> None:
    turns.retry_after_s = lambda: 42.0
    await refused(turns, Rejected("418", code="418", kind="RATE"))

    assert 41.0 < paused(turns) <= 42.0


async def test_read_that_is_throttled_pauses_too(turns: Turns) -> None:
    error = raised_read(RateLimitExceeded("slow down"), "read the balance", REFUSALS)
    assert isinstance(error, Throttled)
    with pytest.raises(TransientError):
        async with turns.read():
            raise error

    assert paused(turns) > 0


async def test_maintenance_opens_the_circuit_for_entries_and_not_for_exits(turns: Turns) -> None:
    await refused(turns, Rejected("maintenance", code="40200", kind="MAINT"))
    assert turns.open()

    with pytest.raises(TransientError, match="circuit"):
        async with turns.order(Lane.ENTRY, bot="ann"):
            raise AssertionError("an entry went to a venue under maintenance")
    async with turns.order(Lane.EXIT, bot="ann"):
        pass


async def test_other_refusals_pause_nothing(turns: Turns) -> None:
    await refused(turns, Rejected("no money", code="43012", kind="FUNDS"))

    assert paused(turns) == 0
    assert not turns.open()


@pytest.mark.req("2.18")
async def test_slow_endpoints_and_calls_of_several_requests_take_more_of_their_lane(turns: Turns) -> None:
    """Positions have half the rate of the other reads at Bitget, and its trigger orders stand in three lists."""
    venue = Bitget(VenueOptions(account="main", api_key="k", api_secret="s", passphrase="p"))
    turns.weigh = venue.weight
    turns.configure(Gateway.model_validate({"lanes": {"reads_per_s": 0.001, "orders_per_s": 0.001, "burst": 20}}))
    turns.reads._tokens = turns.orders._tokens = 20.0

    took = []
    for call in ("", "plans", "positions", EVERY_PLAN):
        before = turns.reads.tokens
        async with turns.read(call=call):
            took.append(round(before - turns.reads.tokens))
    before = turns.orders.tokens
    async with turns.order(Lane.STOP, call="set_leverage"):
        took.append(round(before - turns.orders.tokens))

    assert took == [1, 1, 2, 3, 2]
