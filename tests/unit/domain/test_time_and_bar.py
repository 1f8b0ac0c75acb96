"""Time as int nanoseconds, and bars that are refused when they are unsound."""

import pytest

from omega.domain import Bar, from_iso, iso, may_step, timeframe_ns
from omega.domain.order import STEPS, TERMINAL, OrderState
from omega.errors import ConfigError, CorruptData


def test_iso_there_and_back_is_the_same_instant() -> None:
    assert from_iso("2025-05-20T12:34:56.789Z") == 1_747_744_496_789_000_000
    assert iso(1_747_744_496_789_000_000) == "2025-05-20T12:34:56.789Z"


def test_from_iso_with_an_offset_is_converted() -> None:
    assert from_iso("2025-05-20T14:00:00+02:00") == from_iso("2025-05-20T12:00:00")


@pytest.mark.parametrize("text", ["", "m", "0m", "1x", "-1m", "1.5h"])
def test_timeframe_unknown_text_says_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match="write a number"):
        timeframe_ns(text)


def test_timeframe_units_are_right() -> None:
    assert [timeframe_ns(text) // 10**9 for text in ("1m", "4h", "1d", "1w")] == [60, 14_400, 86_400, 604_800]


@pytest.mark.parametrize(
    "bar",
    [
        Bar(0, float("nan"), 2, 1, 1, 0),
        Bar(0, 1, 2, 1, 0, 0),
        Bar(0, 1, 2, 1, 1, -1),
        Bar(0, 1, 0.5, 0.4, 1, 0),
        Bar(0, 3, 4, 3.5, 3.6, 0),
    ],
)
def test_bar_unsound_is_refused(bar: Bar) -> None:
    with pytest.raises(CorruptData, match="unsound"):
        bar.checked()


def test_order_machine_terminal_states_lead_nowhere() -> None:
    """No edge leaves a terminal state, and every other state has one."""
    for state in OrderState:
        assert (not STEPS[state]) == (state in TERMINAL)
    assert not may_step(OrderState.FILLED, OrderState.WORKING)
    assert may_step(OrderState.UNRESOLVED, OrderState.REJECTED)
