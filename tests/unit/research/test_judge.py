"""The judge's rules on small made-up experiments, the words it finds, and the report as values and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from omega.engine.bars import F64
from omega.errors import CorruptData
from omega.research.experiment import Cell, Outcome, Trials, Verdict, judge
from omega.research.experiment.cells import pooled
from omega.research.experiment.facts import facts
from omega.research.experiment.findings import ArmFinding, Judgement
from omega.research.experiment.page import page
from omega.research.experiment.pipeline import Finished
from omega.research.experiment.plan import Plan
from omega.research.experiment.store import CellStore
from omega.research.experiment.words import lines, story
from omega.research.statistics import Direction, smallest_ranked

from .handles import open_files
from .worlds import World, plan_of

DAY_NS = 86_400_000_000_000
ARMS = {"control": {}, "moon": {"cosmic": "only_moon_phase"}, "fast": {"params": {"fast": 8}}}


def _plan(**over: object) -> Plan:
    return plan_of(**{"data": {"symbols": ["AAA"], "timeframe": "1h"}, "arms": ARMS, **over})


def _judged(plan: Plan, *, moon: float = 0.0, fast: float = 0.0, trials: Trials | None = None) -> dict[str, ArmFinding]:
    """Judge 300 days of noise; the arms add so much a day to the control, moon's placebos add nothing."""
    rng = np.random.default_rng(5)
    control = 0.02 * rng.standard_normal(300)
    noise = 0.002 * rng.standard_normal((1 + plan.placebos, 300))
    noise[0] += moon
    rows: Mapping[str, F64] = {
        "control": control[None, :],
        "moon": control + noise,
        "fast": (control + 0.002 * rng.standard_normal(300) + fast)[None, :],
    }
    outcomes = {Cell(name, "AAA", 0): Outcome(rows[name], 50) for name in plan.arms}
    return {arm.name: arm for arm in judge(plan, outcomes, trials or Trials()).arms}


@pytest.mark.parametrize(
    ("minimum", "edge", "verdict", "why"),
    [
        (0.0, 0.0, Verdict.INCONCLUSIVE, "cannot rule an effect out"),
        (0.01, 0.0, Verdict.REJECT, "rule out"),
        (0.0005, 0.001, Verdict.ADOPT, "reaches the registered minimum"),
        (0.01, 0.001, Verdict.REJECT, "smaller than the registered minimum"),
        (0.0005, -0.001, Verdict.REJECT, "rule out"),
    ],
)
@pytest.mark.parametrize("arm", ["moon", "fast"])
def test_verdict_follows_the_registered_rule(arm: str, minimum: float, edge: float, verdict: Verdict, why: str) -> None:
    found = _judged(_plan(minimum_effect=minimum), **{arm: edge})[arm]

    assert (found.verdict, why in found.why) == (verdict, True), found.why


@pytest.mark.parametrize("arm", ["moon", "fast"])
def test_verdict_direction_lower_and_either_are_judged_in_their_own_way(arm: str) -> None:
    for direction, adopted in ((Direction.LOWER, True), (Direction.EITHER, True), (Direction.HIGHER, False)):
        found = _judged(_plan(direction=direction, placebos=199), **{arm: -0.001})[arm]
        assert (found.verdict is Verdict.ADOPT) is adopted, direction


def test_verdict_gates_keep_an_arm_that_stands_out_from_being_adopted() -> None:
    many = Trials(5_000, [float(x) for x in np.random.default_rng(1).normal(0.0, 2.0, 5_000)])
    plan = _plan(gates={"deflated_sharpe": 0.95})

    found = _judged(plan, fast=0.001, trials=many)["fast"]

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "deflated Sharpe" in found.why
    assert found.deflated < found.probabilistic
    overfit = _judged(_plan(gates={"overfitting": 0.0}), fast=0.0006)
    assert all(arm.verdict is not Verdict.ADOPT for arm in overfit.values() if "overfitting" in arm.why)


def test_verdict_arm_that_changes_nothing_says_so_exactly() -> None:
    plan = _plan()
    control = 0.02 * np.random.default_rng(2).standard_normal(200)
    outcomes = {
        Cell("control", "AAA", 0): Outcome(control[None, :], 5),
        Cell("moon", "AAA", 0): Outcome(np.tile(control, (1 + plan.placebos, 1)), 5),
        Cell("fast", "AAA", 0): Outcome(control[None, :], 5),
    }

    known, unknown = (
        {arm.name: arm for arm in judge(plan, outcomes, unknown=missing).arms}
        for missing in ({}, {"moon": ("moon_phase",)})
    )

    assert (known["moon"].effect, known["moon"].p, known["moon"].detectable) == (0.0, 1.0, 0.0)
    assert (known["moon"].verdict, known["moon"].why) == (Verdict.REJECT, "it never changed a trade")
    assert unknown["moon"].verdict is Verdict.INCONCLUSIVE
    assert "nobody knows the past of moon_phase" in unknown["moon"].why
    assert known["fast"].p == 1.0


def test_pooled_days_are_the_mean_of_the_assets_that_were_there() -> None:
    outcomes = {
        Cell("a", "X", 1): Outcome(np.array([[0.1, 0.2]]), 1),
        Cell("a", "X", 0): Outcome(np.array([[0.3]]), 1),
        Cell("a", "Y", 1): Outcome(np.array([[0.3, 0.0]]), 1),
        Cell("b", "X", 0): Outcome(np.array([[9.0]]), 1),
    }

    np.testing.assert_allclose(pooled(outcomes, "a", ["X", "Y"]), [[0.3, 0.2, 0.1]])
    np.testing.assert_allclose(pooled(outcomes, "a", ["X"]), [[0.3, 0.1, 0.2]])


def test_smallest_ranked_effect_of_unlike_placebos_is_near_the_normal_one_and_of_like_ones_far_larger() -> None:
    rng = np.random.default_rng(3)
    unlike = rng.standard_normal((400, 2000))
    phase = 2.0 * np.pi * np.arange(400)[:, None] / 400.0
    like = np.cos(2.0 * np.pi * np.arange(2000) / 29.5 - phase) * rng.standard_normal(2000)
    asked = {"alpha": 0.05, "power": 0.8, "direction": Direction.HIGHER}

    free, periodic = (smallest_ranked(one.mean(axis=1), one, **asked) for one in (unlike, like))  # type: ignore[arg-type]

    assert free == pytest.approx(2.49 * unlike.mean(axis=1).std(), rel=0.15)
    assert periodic > 3.0 * 2.49 * like.mean(axis=1).std()


@pytest.fixture(scope="module")
def finished() -> Finished:
    plan = plan_of(question="Is <b>the moon</b> better?", placebos=99)
    outcomes = World(plan, 4, {"fast": 0.004}).outcomes()
    judgement = judge(plan, outcomes, Trials(12, [0.1, 0.4, -0.3]), cautions=["few <trades>"])
    return Finished(judgement, "d" * 32, len(outcomes), 3, 1234, 2.5, DAY_NS, 421 * DAY_NS)


def test_words_say_first_what_was_found(finished: Finished) -> None:
    plan = plan_of(seed=2)
    nothing = judge(plan, World(plan, 2, {}).outcomes())

    assert story(nothing)[0] == "Nothing was found: none of the 3 arms did better than chance."
    assert story(finished.judgement)[0] == "Something was found: fast."
    assert any("power of 80%" in said for said in story(nothing))
    assert len(list(lines(nothing))) == 3


@pytest.mark.req("0.52")
def test_facts_are_plain_json_with_all_that_a_table_of_combinations_needs(finished: Finished) -> None:
    found = json.loads(json.dumps(facts(finished, at_ns=DAY_NS), allow_nan=False))

    assert found["verdicts"]["fast"] == "adopt"
    assert found["adopted"] == ["fast"]
    for arm in found["arms"]:
        assert {"effect", "p", "q", "q_any", "detectable", "deflated", "needed_days", "compared"} <= set(arm)
        assert {"low", "high"} <= set(arm["compared"])
    moon = next(arm for arm in found["arms"] if arm["name"] == "moon")
    assert moon["placebos"]["count"] == 99
    assert len(moon["placebos"]["quantiles_5_50_95"]) == 3
    assert 0.0 <= found["overfitting"]["probability"] <= 1.0
    assert found["plan"]["minimum_effect"] == 0.0
    assert found["data_hash"] == "d" * 32


@pytest.mark.req("0.14")
def test_page_is_whole_escaped_and_says_that_factors_are_unproven(finished: Finished) -> None:
    made = page(finished, at_ns=DAY_NS)

    assert made.startswith("<!doctype html>")
    assert made.count("<figure>") == made.count("</figure>") >= 6
    assert "Is &lt;b&gt;the moon&lt;/b&gt; better?" in made
    assert "few &lt;trades&gt;" in made
    assert "unproven" in made
    assert "Something was found: fast." in made
    assert not any(word in made for word in ("http://", "https://", ">nan<", "nan %", ">inf<"))


def test_judgement_of_a_single_short_fold_leaves_out_what_cannot_be_said() -> None:
    plan = _plan()
    outcomes = {Cell(name, "AAA", 0): Outcome(np.zeros((1 + plan.placebos, 8)), 0) for name in plan.arms}

    found: Judgement = judge(plan, outcomes)

    assert (found.overfitting, found.superiority) == (None, None)
    assert found.adopted == ()


def test_store_keeps_a_cell_and_forgets_it_when_told(tmp_path: Path) -> None:
    cell = Cell("moon", "AAA", 0)
    outcome = Outcome(np.random.default_rng(1).standard_normal((5, 7)), 3, {"fast": 8}, (({"fast": 8}, 1.5),))
    with CellStore(tmp_path / "deep" / "cells.db") as store:
        store.keep("mark", outcome, 1)

    with CellStore(tmp_path / "deep" / "cells.db") as store:
        (found,) = store.found({cell: "mark", Cell("fast", "AAA", 0): "other"}.copy()).values()
        np.testing.assert_array_equal(found.returns, outcome.returns)
        assert (found.trades, found.params, found.tries) == (3, {"fast": 8}, (({"fast": 8}, 1.5),))
        store.forget(["mark"])
        assert store.found({cell: "mark"}) == {}


def test_store_counts_plans_that_ran_before_this_one(tmp_path: Path) -> None:
    with CellStore(tmp_path / "cells.db") as store:
        assert store.register("one", "{}", 10) == 0
        assert store.register("two", "{}", 20) == 1
        assert store.register("one", "{}", 30) == 0
        assert store.register("two", "{}", 40) == 1


def test_store_that_is_no_store_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cells.db").write_text("no database at all, but long enough to be looked at " * 30)

    with pytest.raises(CorruptData, match=r"cells\.db"):
        CellStore(tmp_path / "cells.db")
    assert str(tmp_path / "cells.db") not in open_files()
