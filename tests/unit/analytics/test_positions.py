"""Position analysis: harmony, changes and advice as the bot gives them, and levels of the swing around the entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bots.position_analyzer import Params
from bots.position_analyzer import advice as of_the_bot
from omega.analytics.positions import AdviceRules, align, analyse_positions, golden_balance
from omega.engine import AccountBook, Bars, OpenPosition
from omega.engine.account import ChangeKind, RiskLevel
from omega.engine.fibonacci import PHI
from omega.engine.harmony import Harmony, NoScore, harmony

HOUR_NS = 3_600_000_000_000


def position(side: int, notional: float, symbol: str = "BTC-USDT.P", **changed: float) -> OpenPosition:
    made = OpenPosition("main", symbol, side, notional / 100.0, 100.0, 100.0)
    return replace(made, **changed)  # type: ignore[arg-type]


def book(*positions: OpenPosition, balance: float = 10_000.0) -> AccountBook:
    return AccountBook(balance, positions)


def swung() -> Bars:
    """Down to 80, up to 120, back to 105: one confirmed up-swing from 80 to 120."""
    close = np.concatenate([np.linspace(100, 80, 40), np.linspace(80, 120, 60)[1:], np.linspace(120, 105, 30)[1:]])
    n = len(close)
    return Bars.of((np.arange(n) + 1) * HOUR_NS, close, close + 0.2, close - 0.2, close, np.ones(n))


@pytest.mark.req("1.09")
def test_book_is_read_with_the_worked_harmony() -> None:
    made = analyse_positions(book(position(1, 3_820.0), position(-1, 2_360.0, "ETH-USDT.P")), {})

    assert isinstance(made.harmony, Harmony)
    assert made.harmony.score == pytest.approx(0.999777, abs=1.5e-6)
    assert (made.long, made.short, made.total) == pytest.approx((3_820.0, 2_360.0, 6_180.0))
    assert made.exposure == pytest.approx(0.618)
    assert made.long_short == pytest.approx(3_820.0 / 2_360.0)
    assert [a.code for a in made.advice] == ["harmony_high"]
    assert {a.kind for a in made.advice} == {made.kind} == {"informational"}


def test_book_without_equity_or_positions_has_no_score_and_no_ratio() -> None:
    broke = analyse_positions(book(position(1, 500.0), balance=0.0), {})
    empty = analyse_positions(book(), {})

    assert isinstance(broke.harmony, NoScore)
    assert (broke.exposure, broke.views[0].golden_sized) == (None, None)
    assert isinstance(empty.harmony, NoScore)
    assert (empty.long_short, empty.return_on_margin, empty.views, empty.advice) == (None, None, (), ())


@pytest.mark.parametrize(
    "held",
    [
        book(position(1, 30_000.0, liquidation=98.0, unrealised=-4_000.0)),
        book(position(1, 8_000.0), position(1, 4_000.0, "ETH-USDT.P"), position(-1, 3_000.0, "SOL-USDT.P")),
        book(position(-1, 2_000.0, unrealised=900.0)),
    ],
)
def test_advice_is_that_of_the_bot_and_never_to_raise_the_exposure(held: AccountBook) -> None:
    made = analyse_positions(held, {})

    assert [a.text for a in made.advice] == of_the_bot(held, harmony(held), Params())
    assert not any(word in a.text for a in made.advice for word in ("increase", "raise", "add"))
    assert analyse_positions(held, {}, rules=AdviceRules(most=1)).advice == made.advice[:1]


def test_golden_balance_trims_the_heavier_side_and_never_adds() -> None:
    heavy = golden_balance(book(position(1, 5_000.0), position(-1, 1_000.0, "ETH-USDT.P")))
    even = golden_balance(book(position(1, 1_000.0), position(-1, 1_000.0, "ETH-USDT.P")))

    assert (heavy.ratio, heavy.heavier) == (5.0, "long")
    assert (5_000.0 - heavy.trim) / 1_000.0 == pytest.approx(PHI)
    assert even.trim == 0.0
    assert golden_balance(book(position(1, 5_000.0))).ratio is None


def test_prices_on_a_level_are_aligned_and_those_between_are_not() -> None:
    """The swing ran from 79.8 to 120.2; its .618 retracement lies at 95.23 and its .382 at 104.77."""
    bars, on = swung(), position(1, 1_000.0, entry=95.2328)

    made = align(bars, on, stop=104.7672, target=100.0 + 2.0)

    assert [(a.what, a.ratio) for a in made] == [("entry", 0.618), ("stop", 0.382), ("target", 0.5)]
    assert made[0].score == pytest.approx(1.0, abs=0.01)
    assert made[1].score == pytest.approx(1.0, abs=0.01)
    assert made[2].score == 0.0
    assert made[2].distance > 1.0


def test_entry_outside_every_swing_has_no_alignment() -> None:
    held = book(position(1, 1_000.0, entry=500.0, mark=105.0))

    (view,) = analyse_positions(held, {"BTC-USDT.P": swung()}).views

    assert (view.aligned, view.alignment) == ((), None)
    assert view.suggested_stop is not None
    assert view.suggested_stop < 105.0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("entry", [85.0, 119.0])
def test_suggested_stop_lies_on_the_losing_side_for_winners_and_losers(side: int, entry: float) -> None:
    held = book(position(side, 1_000.0, entry=entry, mark=105.0))

    (view,) = analyse_positions(held, {"BTC-USDT.P": swung()}).views

    assert view.suggested_stop is not None
    assert side * (105.0 - view.suggested_stop) > 0.0
    assert view.suggested_target == 0.0 or side * (view.suggested_target - 105.0) > 0.0
    assert view.reward_to_risk is None or view.reward_to_risk > 0.0


def test_alignment_knows_only_swings_that_were_confirmed() -> None:
    """Before the top is confirmed the swing that holds the entry is the one before it, or none."""
    bars = swung()

    assert align(bars.prefix(95), position(1, 1_000.0, entry=95.0)) == ()
    assert len(align(bars, position(1, 1_000.0, entry=95.0))) == 1


@pytest.mark.parametrize(
    ("liquidation", "level"), [(90.0, RiskLevel.LOW), (94.0, RiskLevel.MEDIUM), (97.0, RiskLevel.HIGH)]
)
def test_liquidation_distance_has_its_levels(liquidation: float, level: RiskLevel) -> None:
    (view,) = analyse_positions(book(position(1, 1_000.0, liquidation=liquidation)), {}).views

    assert view.liquidation_level is level
    assert view.liquidation_distance == pytest.approx((100.0 - liquidation) / liquidation)


def test_changes_are_those_since_the_last_look() -> None:
    before = book(position(1, 1_000.0), position(-1, 500.0, "ETH-USDT.P"))
    now = before.polled(10_000.0, (position(1, 1_200.0), position(1, 300.0, "SOL-USDT.P")))

    made = analyse_positions(now, {})

    assert {(c.kind, c.position.symbol) for c in made.changes} == {
        (ChangeKind.CHANGED, "BTC-USDT.P"),
        (ChangeKind.NEW, "SOL-USDT.P"),
        (ChangeKind.CLOSED, "ETH-USDT.P"),
    }
