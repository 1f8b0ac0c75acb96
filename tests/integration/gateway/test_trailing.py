"""The stop at the venue follows a bot's trailing stop: moved in place, only nearer, never two, never a naked moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.bus import StopEvent, StopState
from omega.domain import Action, Intent, Side
from omega.errors import Rejected
from services.gateway.venue import PlanOrder


def near(bench: Any, share: str) -> str:
    return str((bench.price() * Decimal(share)).quantize(Decimal("0.1")))


async def tighten(bench: Any, stop: str, **more: Any) -> Intent:
    intent: Intent = bench.intent(Action.TIGHTEN, Side.SELL, stop=stop)
    await bench.send(intent, **more)
    await bench.settle(0, intent.intent_id)
    return intent


def stops(bench: Any) -> list[tuple[Decimal, Decimal]]:
    return sorted((plan.size, plan.trigger) for plan in bench.plans())


async def test_tighten_moves_the_same_stop_order_at_the_venue(bench: Any) -> None:
    await bench.enter()
    [before] = bench.plans()
    level = near(bench, "0.985")
    await tighten(bench, level)

    [after] = bench.plans()
    assert (after.order_id, after.size, after.trigger) == (before.order_id, Decimal("0.01"), Decimal(level))
    told = [event for event in await bench.events() if isinstance(event, StopEvent)]
    assert [(event.state, event.trigger) for event in told] == [
        (StopState.PLACED, before_stop := told[0].trigger),
        (StopState.MOVED, Decimal(level)),
    ]
    assert before_stop < Decimal(level)
    truth = await bench.invariants()
    assert truth["every_position_has_stop"], truth
    assert truth["naked_seconds_max"] == 0


async def test_tighten_never_loosens_and_counts_once(bench: Any) -> None:
    await bench.enter()
    near_level, far_level = near(bench, "0.99"), near(bench, "0.98")
    first = await tighten(bench, near_level)
    await bench.send(first)
    farther = await tighten(bench, far_level)

    assert stops(bench) == [(Decimal("0.01"), Decimal(near_level))]
    journal = bench.gateway.account.journal
    assert (journal.stop_move(first.intent_id), journal.stop_move(farther.intent_id)) == ("moved", "far")


async def test_tighten_of_an_older_epoch_moves_nothing(bench: Any) -> None:
    intent = await bench.enter()
    bench.gateway.account.journal.fence("alpha", 9)
    moved = await tighten(bench, near(bench, "0.99"))

    assert stops(bench) == [(Decimal("0.01"), intent.stop)]
    assert bench.gateway.account.journal.stop_move(moved.intent_id) == "fence"


async def test_tighten_that_is_no_price_is_denied(bench: Any) -> None:
    intent = await bench.enter()
    moved = await tighten(bench, "80000.123")

    assert bench.gateway.account.journal.stop_move(moved.intent_id) == "rules"
    assert stops(bench) == [(Decimal("0.01"), intent.stop)]


async def test_venue_that_cannot_move_gets_the_new_stop_before_the_old_one_goes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.enter()
    [before] = bench.plans()
    seen: list[int] = []

    async def refuse(plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        raise Rejected(f"{plan.order_id} cannot be moved to {size} at {trigger}", kind="MODE")

    cancel = bench.gateway.account.venue.cancel_plan

    async def watched(plan: PlanOrder) -> bool:
        seen.append(len(bench.plans()))
        return bool(await cancel(plan))

    monkeypatch.setattr(bench.gateway.account.venue, "resize_plan", refuse)
    monkeypatch.setattr(bench.gateway.account.venue, "cancel_plan", watched)
    level = near(bench, "0.985")
    await tighten(bench, level)

    assert stops(bench) == [(Decimal("0.01"), Decimal(level))]
    assert bench.plans()[0].order_id != before.order_id
    assert seen == [2], "the old stop went while the new one stood"
    assert (await bench.invariants())["naked_seconds_max"] == 0


async def test_restart_between_journal_and_venue_moves_the_stop_after_all(bench: Any) -> None:
    await bench.enter()
    level = near(bench, "0.985")
    intent = bench.intent(Action.TIGHTEN, Side.SELL, stop=level)
    await bench.close()
    from services.gateway.journal import Journal

    journal = Journal(bench.folder / "gateway.sqlite")
    journal.open()
    assert journal.tighten(intent, epoch=0, outcome="")
    journal.close()
    await bench.open()
    await bench.settle()

    assert stops(bench) == [(Decimal("0.01"), Decimal(level))]


async def test_legs_with_targets_all_follow(bench: Any) -> None:
    far = near(bench, "1.5")
    await bench.enter(target=far)
    level = near(bench, "0.985")
    await tighten(bench, level)

    kinds = sorted((str(plan.kind), plan.trigger) for plan in bench.plans())
    assert kinds == [("loss_plan", Decimal(level)), ("profit_plan", Decimal(far))]


async def test_stop_that_the_venue_keeps_refusing_closes_the_position_and_halts(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No position stays naked because a venue will not have its stop."""
    async with make_bench(naked_close_s=0.2) as bench:
        await bench.enter()
        [child] = bench.plans()

        async def refuse(*_args: Any, **_more: Any) -> None:
            raise Rejected("no stops today", code="43011", kind="RULES")

        monkeypatch.setattr(bench.gateway.account.venue, "place_plan", refuse)
        await bench.admin(
            "POST", "/cancel", {"orderId": child.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
        )
        await bench.until(lambda: bench.gateway.account.halt.active, "the halt")
        await bench.until(lambda: bench.gateway.account.reserved("BTC-USDT.P"), "the closing order")
        await bench.step()

        assert bench.size() == 0
        assert "refuses the stop of alpha" in bench.gateway.account.halt.reason
        assert (await bench.invariants())["naked_seconds_max"] < 5
