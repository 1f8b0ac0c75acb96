"""One bar, one decision: entries when flat, exits by signal, reversal, time and trail."""

from dataclasses import replace

import numpy as np
import pytest

from omega.engine import Bars, Book, Settings, Signals, Sizing, decide
from omega.errors import CorruptData, InvariantBroken
from omega.plugins import StrategyEntry, param, params

FLAT_BOOK = Book.flat(10_000.0)
LONG_BOOK = Book(side=1, size=1.0, entry=100.0, equity=10_000.0, bars_held=5, extreme=100.0)
RULES = Settings()


@params
class Script:
    """What the scripted strategy says on the last row."""

    side: int = param(0, low=-1, high=1)
    exit: bool = param(default=False)
    stop: float = param(2.0, low=0.0, high=50.0)
    reason: int = param(0, low=0, high=9)


@params
class OwnRules:
    """Parameters that speak for the engine."""

    side: int = param(-1, low=-1, high=1)
    sizing: str = param("full", choices=("risk", "full"))
    flip: bool = param(default=True)


def scripted(bars: Bars, p: Script) -> Signals:
    n = bars.n
    side, leave = np.zeros(n), np.zeros(n, dtype=np.bool_)
    side[-1], leave[-1] = p.side, getattr(p, "exit", False)
    stop = np.full(n, getattr(p, "stop", 2.0))
    return Signals.of(
        side=side,
        exit=leave,
        stop_distance=stop,
        targets=(2 * stop, 3 * stop),
        reason=np.full(n, getattr(p, "reason", 0)),
    )


ENTRY = StrategyEntry("scripted", scripted, Script, lambda _: 3, ("first", "second"), False, False, None, "")


def window(n: int = 10, close: float = 100.0) -> Bars:
    flat = np.full(n, close)
    return Bars.of(np.arange(1, n + 1), flat, flat, flat, flat, flat)


@pytest.mark.req("0.24")
def test_decide_entry_when_flat_carries_stop_targets_and_size():
    made = decide(ENTRY, Script(side=1, reason=1), window(), FLAT_BOOK, RULES)

    assert (made.side, made.exit, made.stop, made.reason) == (1, False, 98.0, "second")
    assert made.targets == ((104.0, 0.5), (106.0, 0.5))
    assert made.size == pytest.approx(50.0)
    assert made.bar_ts_ns == 10


def test_decide_short_mirrors_the_barriers():
    made = decide(ENTRY, Script(side=-1), window(), FLAT_BOOK, RULES)

    assert (made.side, made.stop, made.targets) == (-1, 102.0, ((96.0, 0.5), (94.0, 0.5)))


def test_decide_target_below_zero_is_no_target():
    made = decide(ENTRY, Script(side=-1, stop=40.0), window(), FLAT_BOOK, RULES)

    assert made.targets == ((20.0, 1.0),)


def test_decide_window_within_the_warm_up_is_not_ready():
    assert decide(ENTRY, Script(side=1), window(3), FLAT_BOOK, RULES).reason == "not_ready"
    assert decide(ENTRY, Script(side=1), window(4), FLAT_BOOK, RULES).acts


def test_decide_entry_of_the_held_side_holds():
    made = decide(ENTRY, Script(side=1), window(), LONG_BOOK, RULES)

    assert (made.acts, made.reason) == (False, "hold")


def test_decide_opposite_entry_leaves_and_waits_for_its_own_signal():
    made = decide(ENTRY, Script(side=-1), window(), LONG_BOOK, RULES)

    assert (made.exit, made.side, made.reason) == (True, 0, "reversed")


def test_decide_opposite_entry_with_flip_leaves_and_enters():
    made = decide(ENTRY, Script(side=-1), window(), LONG_BOOK, replace(RULES, flip=True))

    assert (made.exit, made.side) == (True, -1)
    assert made.stop == 102.0


def test_decide_flip_whose_entry_is_dropped_still_leaves():
    made = decide(ENTRY, Script(side=-1, stop=0.0), window(), LONG_BOOK, replace(RULES, flip=True))

    assert (made.exit, made.side, made.stop) == (True, 0, 0.0)


def test_decide_exit_flag_leaves_what_is_held_and_nothing_else():
    assert decide(ENTRY, Script(exit=True, reason=1), window(), LONG_BOOK, RULES).reason == "second"
    made = decide(ENTRY, Script(exit=True), window(), FLAT_BOOK, RULES)
    assert (made.acts, made.reason) == (False, "wait")


def test_decide_time_limit_reached_leaves():
    rules = replace(RULES, time_limit=5)

    assert decide(ENTRY, Script(), window(), LONG_BOOK, rules).reason == "time_exit"
    assert not decide(ENTRY, Script(), window(), replace(LONG_BOOK, bars_held=4), rules).acts


def test_decide_close_beyond_the_trailing_stop_leaves():
    rules, risen = replace(RULES, trail=0.02), replace(LONG_BOOK, extreme=103.0)

    assert decide(ENTRY, Script(), window(close=101.0), risen, rules).reason == "trailed"
    held = decide(ENTRY, Script(), window(close=101.5), risen, rules)
    assert (held.exit, held.side, held.stop) == (False, 0, 101.0), "the stop follows to two below the highest price"


def test_decide_entry_without_a_stop_is_dropped_unless_the_back_test_says_so():
    assert not decide(ENTRY, Script(side=1, stop=0.0), window(), FLAT_BOOK, RULES).acts
    free = replace(RULES, require_stop=False, sizing=Sizing.FULL)
    made = decide(ENTRY, Script(side=1, stop=0.0), window(), FLAT_BOOK, free)
    assert (made.side, made.stop, made.leverage) == (1, 0.0, 1)


def test_decide_parameters_may_speak_for_sizing_and_flip():
    made = decide(replace(ENTRY, params=OwnRules), OwnRules(), window(), LONG_BOOK, RULES)

    assert (made.exit, made.side) == (True, -1)
    assert made.size == pytest.approx(100.0)


@pytest.mark.req("0.43")
def test_decide_same_input_gives_the_equal_decision():
    arguments = (ENTRY, Script(side=1), window(), FLAT_BOOK, RULES)

    assert decide(*arguments) == decide(*arguments)


def test_decide_undeclared_reason_crashes():
    with pytest.raises(InvariantBroken, match="declare"):
        decide(ENTRY, Script(side=1, reason=9), window(), FLAT_BOOK, RULES)


def test_decide_misaligned_signals_crash():
    short = replace(ENTRY, signals=lambda bars, p: Signals.none(bars.n - 1))

    with pytest.raises(InvariantBroken, match="align"):
        decide(short, Script(), window(), FLAT_BOOK, RULES)


def test_decide_empty_window_is_refused():
    with pytest.raises(CorruptData, match="no bar"):
        decide(ENTRY, Script(), window().prefix(0), FLAT_BOOK, RULES)


def test_decide_shows_a_strategy_twice_its_warm_up_and_the_bar_itself():
    """What it declares to need decides what it computes over, however long the runner's window is."""
    shown: list[Bars] = []

    def watching(bars: Bars, p: Script) -> Signals:
        shown.append(bars)
        return scripted(bars, p)

    whole = window(20)
    decide(replace(ENTRY, signals=watching), Script(side=1), whole, FLAT_BOOK, RULES)
    decide(replace(ENTRY, signals=watching), Script(side=1), window(5), FLAT_BOOK, RULES)

    assert [bars.n for bars in shown] == [7, 5]
    assert shown[0].ts[-1] == whole.ts[-1]
