"""Whatever stands at the venue and whatever the books say.

The deeds lead to whole stops, never two, raised before lowered.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.books import closings, share
from services.gateway.protection import adopt, covered, deeds, must_wait, stop_sizes, unwatched, wanted
from services.gateway.rows import Guard
from services.gateway.venue import PlanKind, PlanOrder, closing_side

NEW = count()
BOTS = ("ann", "bob", "cat", "dan")
sizes_of = st.dictionaries(st.sampled_from(BOTS), st.integers(-5, 5).filter(bool).map(Decimal), max_size=4)
triggers = st.sampled_from([Decimal(90), Decimal(95), Decimal(97)])


@st.composite
def worlds(draw: Any) -> tuple[dict[str, Decimal], list[Guard], list[PlanOrder], dict[str, tuple[str, str]]]:
    sizes = draw(sizes_of)
    net = sum(sizes.values(), Decimal(0))
    guards = []
    for bot, size in sizes.items():
        first = Decimal(draw(st.integers(1, int(abs(size)))))
        for leg, part in (("one", first), ("two", abs(size) - first)):
            target = draw(st.one_of(st.none(), st.just(Decimal(120)), st.just(Decimal(130))))
            if part:
                guards.append(Guard(bot, "S", leg, 1 if size > 0 else -1, part, draw(triggers), target))
    side = closing_side(net)
    plans, owners = [], {}
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from([PlanKind.STOP, PlanKind.TARGET]))
        trigger = Decimal(120) if kind is PlanKind.TARGET else draw(triggers)
        placed = draw(st.sampled_from([side, side.opposite])) if draw(st.integers(0, 4)) == 0 else side
        size = Decimal(draw(st.integers(1, 6)))
        plans.append(
            PlanOrder(str(number), f"c{number}", "S", placed, size, trigger, kind, live=True, fired=False, ts_ns=0)
        )
        owner = draw(st.one_of(st.none(), st.sampled_from(BOTS)))
        if owner is not None:
            owners[str(number)] = (owner, draw(st.sampled_from(["one", "two"])))
    return sizes, guards, plans, owners


def carry_out(
    todo: list[Any], plans: list[PlanOrder], owners: dict[str, tuple[str, str]], side: Any
) -> list[PlanOrder]:
    found = {plan.order_id: plan for plan in plans}
    for deed in todo:
        if deed.plan is None:
            name = f"new{next(NEW)}"
            found[name] = PlanOrder(
                name, name, "S", side, deed.size, deed.trigger, deed.kind, live=True, fired=False, ts_ns=0
            )
            owners[name] = deed.holder
        elif deed.size:
            found[deed.plan.order_id] = replace(deed.plan, size=deed.size, trigger=deed.trigger)
        else:
            del found[deed.plan.order_id]
    return list(found.values())


@pytest.mark.req("4.38")
@settings(max_examples=400, deadline=None)
@given(worlds())
def test_deeds_end_in_whole_stops_once_and_stay_there(world: Any) -> None:
    sizes, guards, plans, owners = world
    net = sum(sizes.values(), Decimal(0))
    wants = wanted(sizes, guards)
    owners = {**owners, **adopt(wants, plans, owners, net)}
    for _ in range(4):
        todo = deeds(wants, plans, owners, external=Decimal(0), net=net)
        if not todo:
            break
        assert todo == sorted(todo, key=lambda deed: (not deed.raises, deed.lowers))
        plans = carry_out(todo, plans, owners, closing_side(net))

    assert deeds(wants, plans, owners, external=Decimal(0), net=net) == []
    stops = stop_sizes(wants)
    for bot in sizes:
        assert covered(bot, plans, owners) == stops.get(bot, Decimal(0))
    assert sum(stops.values(), Decimal(0)) == abs(net)
    assert all(plan.side is closing_side(net) for plan in plans) or not plans


@settings(max_examples=200, deadline=None)
@given(worlds(), st.sets(st.integers(0, 12)))
def test_deeds_never_uncover_the_net_position_whatever_the_venue_refuses(world: Any, refused: set[int]) -> None:
    sizes, guards, plans, owners = world
    net = sum(sizes.values(), Decimal(0))
    side, number = closing_side(net), 0
    wants = wanted(sizes, guards)
    owners = {**owners, **adopt(wants, plans, owners, net)}
    for _ in range(3):
        lacking = set[PlanKind]()
        for deed in deeds(wants, plans, owners, external=Decimal(0), net=net):
            if must_wait(deed, lacking, net):
                continue
            before, number = total(plans, side), number + 1
            if number in refused:
                lacking |= {deed.kind} if deed.raises else set()
                continue
            plans = carry_out([deed], plans, owners, side)
            assert total(plans, side) >= min(before, abs(net))


def total(plans: list[PlanOrder], side: Any) -> Decimal:
    """How much the stops on a side cover, whoever owns them."""
    return sum((plan.size for plan in plans if plan.kind is PlanKind.STOP and plan.side is side), Decimal(0))


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_wanted_and_unwatched_make_up_every_position(world: Any) -> None:
    sizes, guards, _, _ = world
    wants = wanted(sizes, guards)
    stops = stop_sizes(wants)
    loose: dict[str, Decimal] = {}
    for guard, part in unwatched(guards, wants):
        loose[guard.bot] = loose.get(guard.bot, Decimal(0)) + part

    for bot, size in sizes.items():
        assert stops.get(bot, Decimal(0)) + abs(loose.get(bot, Decimal(0))) == abs(size)
    assert sum(loose.values(), Decimal(0)) == 0


def test_stop_that_moves_and_shrinks_does_so_after_the_one_that_takes_the_rest_over() -> None:
    guards = [Guard("bob", "S", leg, 1, Decimal(1), Decimal(at), None) for leg, at in (("one", 90), ("two", 95))]
    plan = PlanOrder(
        "1", "c", "S", closing_side(Decimal(2)), Decimal(2), Decimal(90), PlanKind.STOP, live=True, fired=False, ts_ns=0
    )
    owners, net = {"1": ("bob", "two")}, Decimal(2)
    first, second = deeds(wanted({"bob": net}, guards), [plan], owners, external=Decimal(0), net=net)

    assert (first.plan, first.size, first.trigger) == (None, Decimal(1), Decimal(90))
    assert (second.plan, second.size, second.trigger) == (plan, Decimal(1), Decimal(95))
    assert must_wait(second, {PlanKind.STOP}, net)


def test_deeds_leave_a_strangers_stop_while_the_external_book_is_open() -> None:
    plan = PlanOrder(
        "1", "x", "S", closing_side(Decimal(1)), Decimal(1), Decimal(90), PlanKind.STOP, live=True, fired=False, ts_ns=0
    )

    assert deeds([], [plan], {}, external=Decimal(1), net=Decimal(1)) == []
    assert [deed.plan for deed in deeds([], [plan], {}, external=Decimal(0), net=Decimal(0))] == [plan]


def test_wanted_gives_the_tightest_stop_of_the_net_side_first() -> None:
    sizes = {"ann": Decimal(3), "bob": Decimal(2), "cat": Decimal(-4)}
    guards = [
        Guard("ann", "S", "o1", 1, Decimal(3), Decimal(90), None),
        Guard("bob", "S", "o2", 1, Decimal(2), Decimal(95), None),
        Guard("cat", "S", "o3", -1, Decimal(4), Decimal(110), None),
    ]

    assert [(want.holder[0], want.size) for want in wanted(sizes, guards)] == [("bob", Decimal(1))]


@given(
    st.integers(-1000, 1000).map(Decimal),
    st.dictionaries(st.sampled_from(BOTS), st.integers(-9, 9).filter(bool).map(Decimal), min_size=1),
)
def test_share_loses_nothing(amount: Decimal, sizes: dict[str, Decimal]) -> None:
    assert sum(share(amount, sizes, Decimal("0.01")).values(), Decimal(0)) == amount


@given(
    st.integers(1, 60).map(Decimal),
    st.dictionaries(st.sampled_from([*BOTS, "eve", "fay", "external"]), st.integers(1, 9).map(Decimal)),
)
def test_closing_part_is_never_more_than_its_book_holds(amount: Decimal, held: dict[str, Decimal]) -> None:
    """A book that is turned around holds a position that nobody has asked for and that no stop guards."""
    parts = closings(amount, held, Decimal(1))

    assert sum(parts.values(), Decimal(0)) == amount
    assert all(0 < part <= held.get(bot, Decimal(0)) for bot, part in parts.items() if bot != "external")
    beyond = max(amount - sum(held.values(), Decimal(0)), Decimal(0))
    assert parts.get("external", Decimal(0)) <= held.get("external", Decimal(0)) + beyond
    closed = amount - beyond
    assert all(
        abs(parts.get(bot, Decimal(0)) - closed * size / sum(held.values())) < 2
        for bot, size in held.items()
        if bot != "external"
    )
