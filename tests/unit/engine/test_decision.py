"""The pipeline: fixed order, identical objects when nothing changes, only-shrink in live, one audit entry a change."""

from dataclasses import replace

import pytest

from omega.domain import Decision
from omega.engine import Book, Context, Settings, Sizing, amend, identity, run_stages, shrink_only, size_entry
from omega.errors import ConfigError

BOOK = Book.flat(10_000.0)
CONTEXT = Context(bar_ts_ns=60, price=100.0, book=BOOK)
DRAFT = Decision(
    bar_ts_ns=60,
    price=100.0,
    side=1,
    exit=False,
    size=1.0,
    stop=98.0,
    targets=((104.0, 1.0),),
    leverage=3,
    confidence=0.8,
    reason="test",
)


def halve(decision: Decision, context: Context) -> Decision:
    return amend(decision, "psychology", "fearful", size=decision.size / 2)


def dare(decision: Decision, context: Context) -> Decision:
    return amend(decision, "cosmic", "full moon", size=decision.size * 2, leverage=20, stop=90.0, confidence=1.0)


@pytest.mark.req("0.22")
def test_disabled_interceptor_returns_the_identical_object():
    assert identity(DRAFT, CONTEXT) is DRAFT
    assert shrink_only(DRAFT, DRAFT, "cosmic") is DRAFT
    assert amend(DRAFT, "cosmic", "nothing", size=1.0, stop=98.0) is DRAFT


@pytest.mark.req("0.22")
def test_quiet_draft_passes_every_stage_as_the_identical_object():
    quiet = replace(DRAFT, side=0, size=0.0, stop=0.0, targets=(), leverage=1)

    assert run_stages(quiet, CONTEXT, Settings()) is quiet


@pytest.mark.req("0.22", "0.43")
def test_sizing_quantity_is_risk_cash_over_stop_distance():
    made = size_entry(DRAFT, CONTEXT, Settings(risk=0.01))

    assert made.size == pytest.approx(10_000.0 * 0.01 / 2.0)
    assert made.audit == ()


def test_sizing_capped_leaves_an_audit_entry_with_before_and_after():
    made = size_entry(DRAFT, CONTEXT, Settings(risk=0.01, max_notional=1_000.0))

    assert made.size == pytest.approx(10.0)
    (entry,) = made.audit
    assert (entry.stage, entry.field, entry.before, entry.after) == ("sizing", "size", pytest.approx(50.0), made.size)


def test_sizing_full_puts_the_equity_to_work_once():
    made = size_entry(DRAFT, CONTEXT, Settings(sizing=Sizing.FULL, reserve=0.02))

    assert made.size == pytest.approx(100.0)
    assert size_entry(DRAFT, CONTEXT, Settings(sizing=Sizing.FULL, max_leverage=1)).size == pytest.approx(98.0)


@pytest.mark.parametrize(
    ("changed", "settings", "why"),
    [
        ({"stop": 0.0}, Settings(), "without a stop"),
        ({"stop": 101.0}, Settings(), "without a stop"),
        ({"confidence": 0.2}, Settings(min_confidence=0.5), "confidence"),
        ({"size": 0.0}, Settings(), "no size"),
    ],
)
def test_sizing_entry_that_may_not_be_is_dropped_with_the_reason(
    changed: dict[str, float], settings: Settings, why: str
):
    made = size_entry(replace(DRAFT, **changed), CONTEXT, settings)

    assert (made.side, made.size, made.acts, made.reason) == (0, 0.0, False, "dropped")
    assert why in made.audit[-1].why


def test_sizing_without_equity_drops_the_entry():
    broke = replace(CONTEXT, book=Book.flat(-5.0))

    assert not size_entry(DRAFT, broke, Settings()).acts


def test_sizing_wide_stop_lowers_the_leverage_to_stay_clear_of_liquidation():
    wide = replace(DRAFT, stop=60.0)

    assert size_entry(wide, CONTEXT, Settings(max_leverage=10)).leverage == 1
    assert size_entry(DRAFT, CONTEXT, Settings(max_leverage=10)).leverage == 3
    assert size_entry(replace(DRAFT, leverage=10), CONTEXT, Settings(max_leverage=10)).leverage == 10


@pytest.mark.req("0.22")
def test_interceptors_run_in_order_and_each_change_is_audited():
    settings = Settings(psychology=halve, cosmic=dare, live=False, max_leverage=50)

    made = run_stages(DRAFT, CONTEXT, settings)

    assert [(e.stage, e.field) for e in made.audit[:5]] == [
        ("psychology", "size"),
        ("cosmic", "size"),
        ("cosmic", "leverage"),
        ("cosmic", "stop"),
        ("cosmic", "confidence"),
    ]
    assert [(e.before, e.after) for e in made.audit[:2]] == [(1.0, 0.5), (0.5, 1.0)]


def test_live_interceptor_that_adds_risk_is_undone():
    calm = run_stages(DRAFT, CONTEXT, Settings(max_leverage=50))

    made = run_stages(DRAFT, CONTEXT, Settings(cosmic=dare, live=True, max_leverage=50))

    assert (made.size, made.leverage, made.stop, made.confidence) == (calm.size, 3, 98.0, 0.8)
    assert "only shrink" in made.audit[-1].why


def test_live_interceptor_that_shrinks_risk_is_heard():
    calm = run_stages(DRAFT, CONTEXT, Settings())

    assert run_stages(DRAFT, CONTEXT, Settings(psychology=halve)).size == pytest.approx(calm.size / 2)


def test_live_interceptor_may_not_turn_the_side_nor_cancel_an_exit():
    turned = replace(DRAFT, side=-1)
    kept = shrink_only(replace(DRAFT, exit=True), replace(turned, exit=False), "psychology")

    assert (kept.side, kept.exit) == (1, True)


@pytest.mark.parametrize("stop", [99.0, 97.0, 0.0])
def test_live_stop_never_widens(stop: float):
    kept = shrink_only(DRAFT, replace(DRAFT, stop=stop), "cosmic")

    assert kept.stop == max(98.0, stop)


def test_interceptor_veto_leaves_nothing_to_send():
    def veto(decision: Decision, context: Context) -> Decision:
        return amend(decision, "psychology", "too afraid", side=0)

    made = run_stages(DRAFT, CONTEXT, Settings(psychology=veto))

    assert (made.acts, made.size, made.stop, made.targets) == (False, 0.0, 0.0, ())


def test_interceptor_exit_of_a_flat_book_is_no_exit():
    def panic(decision: Decision, context: Context) -> Decision:
        return amend(decision, "psychology", "panic", exit=True, side=0)

    assert not run_stages(DRAFT, CONTEXT, Settings(psychology=panic)).acts


@pytest.mark.parametrize(
    "bad", [{"risk": 0.5}, {"max_leverage": 0}, {"reserve": 1.0}, {"min_confidence": 2.0}, {"buffer": -1.0}]
)
def test_settings_outside_their_range_are_refused(bad: dict[str, float]):
    with pytest.raises(ConfigError, match="outside"):
        Settings(**bad)


def test_audit_of_targets_shows_the_first_price():
    made = amend(DRAFT, "psychology", "impatient", targets=((102.0, 1.0),), reason="impatient")
    none = amend(DRAFT, "psychology", "resigned", targets=())

    assert [(e.field, e.before, e.after) for e in made.audit] == [("targets", 104.0, 102.0), ("reason", 0.0, 0.0)]
    assert none.audit[0].after == 0.0


def test_full_sizing_without_equity_drops_the_entry():
    broke = replace(CONTEXT, book=Book.flat(0.0))

    assert not size_entry(DRAFT, broke, Settings(sizing=Sizing.FULL)).acts
