"""The price that venues agree on: no liar moves it, nothing stale counts, drift needs looks in a row."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.consensus import Agreement, Drift, Limits, Source, Why, agree, drifted

HONEST = st.lists(st.floats(90.0, 110.0), min_size=2, max_size=8)
ANY = st.one_of(st.floats(1e-9, 1e12), st.just(float("nan")), st.just(float("inf")), st.just(0.0), st.just(-5.0))


def sources(prices: list[float], *, age_s: float = 0.0) -> list[Source]:
    return [Source(f"v{number}", price, age_s) for number, price in enumerate(prices)]


@pytest.mark.req("3.13")
@given(honest=HONEST, lie=ANY)
def test_one_liar_among_three_or_more_never_moves_the_price_beyond_the_honest(honest: list[float], lie: float) -> None:
    found = agree([*sources(honest), Source("liar", lie, 0.0)], Limits(quorum=3))

    if found.found:
        assert min(honest) <= found.price <= max(honest)


@given(prices=st.lists(st.floats(1.0, 1e6), min_size=3, max_size=6))
def test_order_of_the_sources_changes_nothing(prices: list[float]) -> None:
    limits = Limits()
    first = agree(sources(prices), limits)

    for order in list(permutations(sources(prices)))[:24]:
        other = agree(order, limits)
        assert (other.price, other.members, dict(other.rejected)) == (first.price, first.members, dict(first.rejected))


@given(prices=st.lists(st.floats(1.0, 1e6), min_size=0, max_size=8), scale=st.sampled_from([0.5, 2.0, 1024.0]))
def test_price_scales_with_the_prices(prices: list[float], scale: float) -> None:
    small, big = agree(sources(prices), Limits()), agree(sources([p * scale for p in prices]), Limits())

    assert big.price == pytest.approx(small.price * scale)
    assert big.members == small.members


@given(prices=st.lists(ANY, min_size=0, max_size=8), ages=st.lists(st.floats(0, 40), min_size=8, max_size=8))
def test_every_source_is_a_member_or_rejected_and_members_are_fresh(prices: list[float], ages: list[float]) -> None:
    given_ = [Source(f"v{n}", price, age) for n, (price, age) in enumerate(zip(prices, ages, strict=False))]
    found = agree(given_, Limits())

    assert set(found.members) & set(found.rejected) == set()
    if found.found:
        assert set(found.members) | set(found.rejected) == {source.venue for source in given_}
        assert found.age_s <= Limits().stale_s
        assert 2 * len(found.members) > len(found.members) + list(found.rejected.values()).count(Why.OUTLIER)
        assert 0 <= found.spread < math.inf
    else:
        assert (found.price, found.members) == (0.0, ())


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (Source("x", 100.0, 11.0), Why.STALE),
        (Source("x", float("nan"), 0.0), Why.CORRUPT),
        (Source("x", 100.0, 0.0, bid=101.0, ask=100.0), Why.CORRUPT),
        (Source("x", 100.0, 0.0, bid=98.0, ask=102.0), Why.WIDE),
        (Source("x", 105.0, 0.0), Why.OUTLIER),
    ],
)
def test_source_that_does_not_count_says_why(source: Source, why: Why) -> None:
    found = agree([*sources([100.0, 100.1, 100.0]), source], Limits())

    assert found.rejected == {"x": why}
    assert found.price == pytest.approx(100.0, abs=0.1)


def test_two_camps_of_equal_size_agree_on_nothing() -> None:
    found = agree(sources([100.0, 100.0, 200.0, 200.0]), Limits(mads=0.1))

    assert not found.found


def look(*, agrees: bool = False, outlies: bool = False) -> Agreement:
    rejected = {"own": Why.OUTLIER} if outlies else {}
    return Agreement(100.0, 0.0, ("a", "b", "own") if agrees else ("a", "b"), rejected, 0.0)


@given(looks=st.lists(st.sampled_from(["agrees", "outlies", "silent"]), max_size=60))
def test_quarantine_begins_and_ends_only_after_looks_in_a_row(looks: list[str]) -> None:
    state, outlying, agreeing = Drift(), 0, 0
    for name in looks:
        outlying = outlying + 1 if name == "outlies" else 0 if name == "agrees" else outlying
        agreeing = agreeing + 1 if name == "agrees" else 0 if name == "outlies" else agreeing
        before = state
        state = drifted(state, look(**{name: True}) if name != "silent" else look(), "own", after=3, back=5)
        if state.quarantined and not before.quarantined:
            assert outlying >= 3
        if before.quarantined and not state.quarantined:
            assert agreeing >= 5
        assert state.quarantined or outlying < 3
