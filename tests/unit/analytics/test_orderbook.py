"""The order book: rebuilt from recorded messages it is the recorded book, and a hole in the sequence stops it."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omega.analytics.orderbook import (
    ASK,
    BID,
    Difference,
    OrderBook,
    Print,
    Quote,
    Rebuilt,
    Snapshot,
    read_messages,
    rebuild,
)
from omega.errors import CorruptData

TICKS = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / "ticks"
SECOND_NS = 1_000_000_000
SNAPSHOT = Snapshot(10, bids=((100.0, 1.0), (99.0, 2.0)), asks=((101.0, 1.5), (102.0, 2.5)))


def difference(
    first: int, last: int, *, ts: int = SECOND_NS, previous: int | None = None, **sides: object
) -> Difference:
    made = Difference(ts, first, last, previous, (), ())
    return replace(made, **sides)


def recorded(market: str) -> tuple[Rebuilt, dict[str, list[float]]]:
    """Rebuild a recorded stretch, and read the book that was recorded beside it."""
    import pyarrow.parquet as pq

    raw = TICKS / f"{market}-binance-20240808-raw.jsonl.gz"
    if not raw.is_file():
        pytest.skip(f"recorded ticks are absent: {raw} (set OMEGA_SHARED_DATA to the folder that holds ticks/)")
    with gzip.open(raw, "rt", encoding="utf-8") as file:
        made = rebuild(read_messages(file))
    return made, pq.read_table(TICKS / f"{market}-binance-20240808-book20-1s.parquet").to_pydict()


@pytest.mark.parametrize(
    ("market", "differences", "instants", "quotes"),
    [("BTCUSDT_PERP", 6_547, 345, 629), ("BTCUSDT", 3_449, 346, 564)],
)
def test_book_rebuilt_from_recorded_messages_is_the_recorded_book(
    market: str, differences: int, instants: int, quotes: int
) -> None:
    """Every one of 20 levels on both sides at every second, and the best bid and ask at every common update."""
    made, book = recorded(market)

    assert made.differences == differences
    assert made.grid.tolist() == [ts * 1_000_000 for ts in book["ts"]]
    assert len(made.grid) == instants
    for side, levels in (("bid", made.bids), ("ask", made.asks)):
        for column, place in (("px", 0), ("qty", 1)):
            wanted = np.array([book[f"{side}_{column}{k}"] for k in range(1, 21)]).T
            assert np.array_equal(levels[:, :, place], wanted), (side, column)
    assert len(made.quotes) == quotes
    assert all(theirs == ours for theirs, ours in made.quotes)
    assert (made.bids[:, 0, 0] < made.asks[:, 0, 0]).all()


def test_book_takes_levels_in_and_out_and_keeps_the_best() -> None:
    book = OrderBook(SNAPSHOT)

    changed = book.apply(difference(11, 12, bids=((100.0, 0.0), (99.5, 3.0)), asks=((101.0, 1.5), (100.5, 0.2))))

    assert changed == [(BID, 100.0, 1.0, 0.0), (BID, 99.5, 0.0, 3.0), (ASK, 100.5, 0.0, 0.2)]
    assert book.best() == Quote(12, 99.5, 3.0, 100.5, 0.2)
    assert book.top(2) == (((99.5, 3.0), (99.0, 2.0)), ((100.5, 0.2), (101.0, 1.5)))


def test_book_passes_over_what_the_snapshot_holds() -> None:
    book = OrderBook(SNAPSHOT)

    assert book.apply(difference(5, 10, bids=((100.0, 0.0),))) == []
    assert book.best().bid == 100.0


@pytest.mark.parametrize(
    "missing",
    [
        pytest.param([difference(13, 14)], id="after the snapshot"),
        pytest.param([difference(9, 12), difference(14, 15)], id="between, by numbers"),
        pytest.param([difference(9, 12, previous=8), difference(13, 15, previous=11)], id="between, by the one before"),
    ],
)
def test_book_with_a_hole_in_the_sequence_is_refused(missing: list[Difference]) -> None:
    with pytest.raises(CorruptData, match="updates are missing; take a new snapshot"):
        rebuild([SNAPSHOT, *missing])


def test_book_perpetual_stream_follows_by_the_update_before() -> None:
    """A perpetual stream skips numbers and says which update came before."""
    book = OrderBook(SNAPSHOT)

    book.apply(difference(9, 12, previous=8))
    book.apply(difference(17, 20, previous=12, bids=((100.0, 4.0),)))

    assert book.best().bid_size == 4.0


def test_book_waits_for_its_snapshot_and_samples_after_each_instant() -> None:
    early = difference(9, 11, ts=SECOND_NS // 2, bids=((100.0, 7.0),))
    later = difference(12, 12, ts=SECOND_NS, bids=((100.0, 8.0),))
    last = difference(13, 13, ts=3 * SECOND_NS + 1, bids=((100.0, 9.0),))

    made = rebuild([early, SNAPSHOT, later, last], depth=1)

    assert made.grid.tolist() == [SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS]
    assert made.bids[:, 0, 1].tolist() == [8.0, 9.0, 9.0]
    assert made.changes.after.tolist() == [7.0, 8.0, 9.0]


def test_rebuild_without_a_snapshot_says_so() -> None:
    with pytest.raises(CorruptData, match="no snapshot"):
        rebuild([difference(1, 2)])


def test_book_empty_side_is_refused() -> None:
    book = OrderBook(Snapshot(1, bids=(), asks=((101.0, 1.0),)))

    with pytest.raises(CorruptData, match="one side of the order book is empty"):
        book.best()


def test_messages_are_read_by_their_stream_and_others_left_out() -> None:
    lines = [
        '1 {"stream":"b@depth@100ms","data":{"E":5,"T":4,"U":1,"u":2,"pu":0,"b":[["1.5","2"]],"a":[]}}',
        '1 {"stream":"b@bookTicker","data":{"u":3,"b":"1.5","B":"2","a":"1.6","A":"3"}}',
        '1 {"stream":"b@trade","data":{"T":7,"t":9,"p":"1.5","q":"0.25","m":true}}',
        '1 {"stream":"b@kline_1m","data":{}}',
    ]

    assert list(read_messages(lines)) == [
        Difference(4_000_000, 1, 2, 0, ((1.5, 2.0),), ()),
        Quote(3, 1.5, 2.0, 1.6, 3.0),
        Print(7_000_000, 9, 1.5, 0.25, -1),
    ]


@pytest.mark.parametrize("line", ["1 {", '1 {"stream":"b@trade","data":{"T":1}}', "1 []"])
def test_messages_unreadable_line_is_named(line: str) -> None:
    with pytest.raises(CorruptData, match="line 1 of the recording"):
        list(read_messages([line]))
