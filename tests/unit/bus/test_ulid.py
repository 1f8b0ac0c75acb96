"""Ids that sort and never step back."""

from __future__ import annotations

import pytest

from omega.bus import UlidMaker, ulid_ms


def test_ulid_many_in_one_millisecond_grow_strictly():
    make = UlidMaker(now_ms=lambda: 1_747_699_200_000)

    made = [make() for _ in range(20_000)]

    assert made == sorted(set(made))
    assert {len(text) for text in made} == {26}
    assert {ulid_ms(text) for text in made} == {1_747_699_200_000}


def test_ulid_clock_steps_back_keeps_growing():
    moments = iter([5_000, 4_000, 4_500, 6_000])
    make = UlidMaker(now_ms=lambda: next(moments))

    made = [make() for _ in range(4)]

    assert made == sorted(set(made))
    assert [ulid_ms(text) for text in made] == [5_000, 5_000, 5_000, 6_000]


def test_ulid_random_part_overflows_into_the_next_millisecond():
    make = UlidMaker(now_ms=lambda: 7, random_bits=lambda bits: (1 << bits) - 1)
    make._tail = (1 << 80) - 1
    make._last_ms = 7

    assert ulid_ms(make()) == 8


def test_ulid_known_value_is_spelled_as_the_standard_says():
    make = UlidMaker(now_ms=lambda: 1_469_918_176_385, random_bits=lambda _: 0)

    assert make() == "01ARYZ6S41" + "0" * 16


@pytest.mark.parametrize("text", ["", "x" * 26, "01ARYZ6S41"])
def test_ulid_ms_of_no_ulid_is_refused(text: str):
    with pytest.raises(ValueError):
        ulid_ms(text)
