"""`omega cosmic`: shapes, figures and exit codes, without a farm."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from omega import plugins
from omega.cli.cosmic import app
from omega.cosmic.table import Body, separation
from omega.domain import SECOND_NS, from_iso
from omega.errors import ConfigError

RUNNER = CliRunner()
STATION = "2025-07-18T04:45:00Z"


def told(*args: str) -> Any:
    done = RUNNER.invoke(app, [*args, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.req("1.69", "1.71", "1.73")
def test_at_is_one_object_with_every_reading_and_the_longitudes():
    found = told("at", "2025-06-11T07:44:00Z")

    assert set(found) == {"time", "evidence", "factors", "longitudes", "moon", "mercury"}
    assert set(found["factors"]) == set(plugins.factors.discover())
    assert set(found["longitudes"]) == {body.value for body in Body}
    assert all(0 <= degrees < 360 for degrees in found["longitudes"].values())
    assert separation(found["longitudes"]["moon"], found["longitudes"]["sun"]) == pytest.approx(180, abs=0.01)
    assert (found["moon"]["phase"], found["factors"]["moon_phase"]["label"]) == ("full", "full")
    assert found["evidence"] == "unproven"
    for reading in found["factors"].values():
        assert {"value", "raw", "unit", "source", "as_of", "age_s", "confidence", "state"} <= set(reading)


def test_at_reads_recorded_feeds(tmp_path: Path):
    (tmp_path / "fear-greed-1d.csv").write_text("ts,value\n1749600000000,72\n", encoding="utf-8")

    found = told("at", "2025-06-11T07:44:00Z", "--feeds", str(tmp_path))["factors"]["global_sentiment"]

    assert (found["raw"], found["state"], found["as_of"]) == (72.0, "live", "2025-06-11T00:00:00.000Z")
    with pytest.raises(ConfigError, match="no recorded feed"):
        told("now", "--feeds", str(tmp_path / "nowhere"))


@pytest.mark.req("1.72")
def test_stations_are_a_list_of_time_body_and_kind():
    found = told("stations", "Mercury", "--from", "2025-01-01", "--to", "2026-01-01")

    assert [(row["body"], row["kind"]) for row in found] == [("mercury", "retrograde"), ("mercury", "direct")] * 3
    assert all(set(row) == {"time", "body", "kind"} for row in found)
    assert abs(from_iso(found[2]["time"]) - from_iso(STATION)) <= 60 * SECOND_NS


@pytest.mark.req("1.73")
def test_phases_are_a_list_of_time_and_phase():
    found = told("phases", "--from", "2025-01-01", "--to", "2025-02-01")

    assert [row["phase"] for row in found] == ["first_quarter", "full", "last_quarter", "new"]
    assert all(set(row) == {"time", "phase"} for row in found)
    assert abs(from_iso(found[1]["time"]) - from_iso("2025-01-13T22:27:00Z")) <= 90 * SECOND_NS
    assert told("phases", "--from", "2025-01-02", "--to", "2025-01-03") == []


@pytest.mark.req("1.70")
def test_aspects_go_by_the_orbs_that_are_asked_for():
    when = "2025-06-15T14:36:00Z"

    names = ("conjunction", "sextile", "square", "trine", "opposition")
    orbs = [part for name in names for part in ("--orb", f"{name}=0.01")]

    wide, narrow = told("aspects", when), told("aspects", when, *orbs)

    assert len(wide) > len(narrow) == 1
    assert narrow[0]["off"] < 0.001
    assert (narrow[0]["a"], narrow[0]["b"], narrow[0]["aspect"]) == ("jupiter", "saturn", "square")


def test_forecast_holds_what_the_lists_hold():
    found = told("forecast", "--from", "2025-07-01", "--days", "60")

    events = {(row["event"], row["what"]) for row in found}
    assert {("moon", "full"), ("station", "mercury retrograde"), ("station", "mercury direct")} <= events
    assert [row["time"] for row in found] == sorted(row["time"] for row in found)


def test_factors_say_unit_range_source_and_that_they_are_off():
    found = told("factors")

    assert [row["name"] for row in found] == sorted(plugins.factors.discover())
    assert all(row["evidence"] == "unproven" and row["unit"] and row["source"] and row["doc"] for row in found)
    assert all(row["lowest"] < row["highest"] for row in found)
    assert not any(row["enabled"] for row in found)


@pytest.mark.parametrize("factor", plugins.factors.discover())
def test_explain_shows_sign_states_and_what_live_mode_leaves(factor: str):
    found = told("explain", factor, "--at", "2025-06-11T07:44:00Z")

    research, live = found["targets"]
    assert found["registered_sign"]
    assert found["states"]
    assert len(found["influences"]) == 8
    assert (research["mode"], live["mode"]) == ("research", "live")
    assert live["position_size"] <= 1.0 <= live["entry_threshold"]
    assert live["exit_impulse"] >= 1.0


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("at", "soon"), "no instant"),
        (("at", "1812-01-01"), "ephemeris"),
        (("stations", "moon"), "no stations"),
        (("stations", "mercurry"), "did you mean 'mercury'"),
        (("phases", "--from", "2025-02-01", "--to", "2025-01-01"), "empty"),
        (("aspects", "--orb", "square=wide"), "NAME=DEGREES"),
        (("aspects", "--orb", "square=nan"), "NAME=DEGREES"),
        (("explain", "moon_faze"), "did you mean 'moon_phase'"),
    ],
)
def test_wrong_question_is_a_usage_error_that_says_what_to_write(args: tuple[str, ...], word: str):
    with pytest.raises(ConfigError, match=word) as caught:
        told(*args)
    assert caught.value.exit_code == 2


def test_words_for_people_in_a_pipe_are_never_cut_off():
    shown = RUNNER.invoke(app, ["at", STATION], catch_exceptions=False).stdout

    assert "…" not in shown
    assert all(f" {name} " in shown for name in (*plugins.factors.discover(), *Body))
    assert " last_quarter: " in shown


@pytest.mark.parametrize(
    "args",
    [("at", STATION), ("stations", "mercury", "--from", "2025-01-01"), ("phases", "--from", "2025-01-01"),
     ("phases", "--from", "2025-01-02", "--to", "2025-01-03"), ("aspects", STATION), ("factors",),
     ("forecast", "--from", "2025-01-01", "--days", "3"), ("explain", "moon_phase", "--at", STATION)],
)  # fmt: skip
def test_every_verb_has_words_for_people_too(args: tuple[str, ...]):
    done = RUNNER.invoke(app, args, catch_exceptions=False)

    assert done.exit_code == 0
    assert len(done.stdout) > 20
