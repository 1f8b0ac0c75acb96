"""Invariants of rebuilt order books, of the integrity detectors, and of Fibonacci clusters over random input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.analytics.fibonacci import Leg, level_clusters
from omega.analytics.integrity import integrity
from omega.analytics.orderbook import Difference, Message, OrderBook, Print, Quote, Snapshot, rebuild
from omega.engine.fibonacci import levels

MS = 1_000_000
Update = tuple[int, bool, int, float]
UPDATES = st.lists(
    st.tuples(
        st.integers(1, 400), st.booleans(), st.integers(1, 30), st.sampled_from([0.0, 0.5, 1.0, 2.0, 250.0, 400.0])
    ),
    min_size=1,
    max_size=120,
)


def played(updates: list[Update]) -> tuple[list[Message], list[dict[float, float]]]:
    """Random updates as an exchange would send them, one a difference, and the book that they leave."""
    bids = {100.0 - k: 1.0 for k in range(1, 31)}
    asks = {100.0 + k: 1.0 for k in range(1, 31)}
    messages: list[Message] = [Snapshot(1, tuple(bids.items()), tuple(asks.items()))]
    ts = 0
    for number, (wait, is_bid, step, size) in enumerate(updates, start=2):
        ts += wait * MS
        side = bids if is_bid else asks
        price = 100.0 - step if is_bid else 100.0 + step
        left = size if size or len(side) > 1 else 1.0
        side.pop(price, None)
        if left:
            side[price] = left
        change = ((price, left),)
        messages.append(Difference(ts, number, number, number - 1, change if is_bid else (), () if is_bid else change))
        messages.append(Quote(number, max(bids), bids[max(bids)], min(asks), asks[min(asks)]))
    return messages, [bids, asks]


@given(updates=UPDATES)
@settings(max_examples=40, deadline=None)
def test_rebuilt_book_has_the_best_of_every_update(updates: list[Update]) -> None:
    """The book's own best bid and ask equal those that the exchange sent beside each update."""
    messages, (bids, asks) = played(updates)

    made = rebuild(messages, every_ns=100 * MS, depth=30)

    assert len(made.quotes) == len(updates)
    assert all(theirs == ours for theirs, ours in made.quotes)
    book = OrderBook(messages[0])  # type: ignore[arg-type]
    for message in messages:
        if isinstance(message, Difference):
            book.apply(message)
    assert book.bids == bids
    assert book.asks == asks
    assert [price for price, _ in book.top(5)[0]] == sorted(bids, reverse=True)[:5]
    assert [price for price, _ in book.top(5)[1]] == sorted(asks)[:5]
    assert (np.diff(made.grid) == 100 * MS).all()
    assert (made.bids[:, 0, 0] < made.asks[:, 0, 0]).all()


@given(
    updates=UPDATES,
    trades=st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(-3, 3), st.floats(0.001, 5.0), st.booleans()), max_size=40
    ),
)
@settings(max_examples=25, deadline=None)
def test_integrity_findings_lie_in_their_record(
    updates: list[Update], trades: list[tuple[int, int, float, bool]]
) -> None:
    """No input breaks the detectors; times, scores and sides are what they are said to be."""
    messages, _ = played(updates)
    prints = [Print(ms * MS, k, 100.0 + p, s, 1 if up else -1) for k, (ms, p, s, up) in enumerate(sorted(trades))]

    found = integrity(rebuild([*messages, *prints]))

    for finding in found.findings:
        assert finding.from_ns <= finding.to_ns
        assert 0.0 <= finding.score <= 1.0
        assert finding.size > 0.0
        assert finding.side in {"bid", "ask", ""}
    if found.wash is not None:
        assert 0.0 <= found.wash.share <= 1.0 + 1e-9
        assert 0.0 < found.wash.p_value <= 1.0


LEGS = st.lists(
    st.tuples(st.floats(1.0, 1_000.0), st.floats(1.001, 3.0), st.booleans()).map(
        lambda t: Leg(0, 1, 2, t[0], t[0] * t[1]) if t[2] else Leg(0, 1, 2, t[0] * t[1], t[0])
    ),
    min_size=1,
    max_size=8,
)


@given(legs=LEGS, within=st.floats(0.0, 0.05))
@settings(max_examples=60, deadline=None)
def test_clusters_hold_every_level_once_and_lie_apart(legs: list[Leg], within: float) -> None:
    made = sorted(level_clusters(legs, within=within, least=1), key=lambda c: c.low)

    every = [price for leg in legs for _, price in levels(leg.high, leg.low, up=leg.up).prices]
    assert sum(c.strength for c in made) == len(every)
    assert all(c.low <= c.price * (1 + 1e-12) and c.price <= c.high * (1 + 1e-12) for c in made)
    assert all(1 <= c.swings <= min(c.strength, len(legs)) for c in made)
    assert all(b.low - a.high > within * a.high for a, b in pairwise(made))
