"""The outbox: bounded lanes, order, exits first."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from omega.bus.outbox import Outbox, Outgoing
from omega.errors import Denied


def item(name: str, *, high: bool = False) -> Outgoing:
    return Outgoing(name, "fill", b"", high, 0)


def names(items: Iterable[Outgoing]) -> str:
    return "".join(each.message_id for each in items)


def test_outbox_gives_high_first_and_keeps_order():
    box = Outbox(10)
    for name in "abc":
        box.put(item(name))
    for name in "XY":
        box.put(item(name, high=True))

    assert names(box.waiting()) == "XYabc"
    assert (names(box.take(3)), names(box.take(9)), len(box)) == ("XYa", "bc", 0)


def test_outbox_put_back_goes_before_what_waits_even_over_the_limit():
    box = Outbox(2)
    for name in "cd":
        box.put(item(name))

    box.put_back([item("a"), item("b")])

    assert names(box.waiting()) == "abcd"


def test_outbox_full_lane_denies_and_the_other_has_room():
    box = Outbox(1)
    box.put(item("a"))

    with pytest.raises(Denied) as caught:
        box.put(item("b"))
    box.put(item("X", high=True))

    assert caught.value.rule == "bus.outbox_full"
    assert names(box.waiting()) == "Xa"
