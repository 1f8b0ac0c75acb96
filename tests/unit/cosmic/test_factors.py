from collections.abc import Iterator
from dataclasses import replace

import pytest

from omega import plugins
from omega.cosmic.readings import Heard, Place
from omega.cosmic.sky import Sky
from omega.cosmic.table import HOUR_NS, Body, aspect_balance
from omega.domain import FeedState, Reading, from_iso
from omega.engine.conditions import quantity_of
from omega.engine.cosmic import calculate_cosmic_influence

FULL_NS = from_iso("2025-06-11T07:44:00Z")
NEW_NS = from_iso("2025-06-25T10:31:00Z")
RETROGRADE_NS = from_iso("2025-07-25T00:00:00Z")

plugins.factors.discover()


@pytest.fixture(scope="module")
def sky() -> Iterator[Sky]:
    opened = Sky(hours_ahead=24 * 60)
    yield opened
    opened.close()


def read(sky: Sky, factor: str, at_ns: int) -> Reading:
    reading = plugins.factors.get(factor).function(at_ns, sky.table(at_ns))
    assert isinstance(reading, Reading)
    return reading


def test_moon_phase_full_and_new_are_the_ends_of_the_scale(sky: Sky):
    full, new = read(sky, "moon_phase", FULL_NS), read(sky, "moon_phase", NEW_NS)

    assert full.value > 0.99
    assert (full.label, round(full.raw)) == ("full", 180)
    assert new.value < -0.99
    assert (new.label, round(new.raw) % 360) == ("new", 0)


def test_mercury_retrograde_in_july_2025_is_on(sky: Sky):
    reading = read(sky, "mercury_retrograde", RETROGRADE_NS)

    assert (reading.value, reading.label) == (1.0, "retrograde")
    assert reading.raw < 0
    assert read(sky, "mercury_retrograde", FULL_NS).value == 0.0


def test_planetary_aspects_at_a_close_square_count_against():
    tense = {Body.JUPITER: 0.0, Body.SATURN: 90.0}
    mixed = {**tense, Body.SUN: 120.0}

    assert aspect_balance(tense) == -1.0
    assert aspect_balance(mixed) == pytest.approx(0.0, abs=1e-12)
    assert aspect_balance({Body.SUN: 0.0, Body.MOON: 3.0}) == 0.0
    assert aspect_balance({Body.SUN: 0.0, Body.MOON: 61.0}) == 1.0


def test_local_factors_read_the_hour_of_the_place():
    """Noon in Greenwich is 07:00 of mean solar time at 75 degrees west; 2025-06-09 is a Monday."""
    noon = from_iso("2025-06-09T12:00:00Z")
    west, south = Place(40.0, -75.0), Place(-33.0, 0.0)

    time_cycle, rhythm, season = (
        plugins.factors.get(name).function for name in ("time_cycle", "circadian_rhythm", "geographic_influence")
    )

    assert (time_cycle(noon, west).raw, time_cycle(noon, west).label) == (7.0, "monday")
    assert (time_cycle(noon, west).value, time_cycle(noon + 3 * HOUR_NS, west).value) == (-0.15, pytest.approx(-0.05))
    assert (rhythm(noon, west).label, rhythm(noon, west).value) == ("morning", 0.1)
    assert (rhythm(noon, south).label, rhythm(noon, south).value) == ("midday", 0.3)
    assert (season(noon, west).label, season(noon, south).label) == ("summer", "winter")


@pytest.mark.parametrize(
    ("factor", "raw", "value", "label"),
    [
        ("schumann_resonance", 7.83, 0.0, "baseline"),
        ("schumann_resonance", 40.0, 1.0, "very_high"),
        ("geomagnetic_activity", 0.0, -1.0, "quiet"),
        ("geomagnetic_activity", 9.0, 1.0, "severe_storm"),
        ("global_sentiment", 25.0, -0.5, "pessimistic"),
        ("global_sentiment", 76.0, 0.52, "euphoric"),
        ("market_liquidity", -0.7, -0.7, "dry"),
        ("market_liquidity", 0.2, 0.2, "normal"),
    ],
)
def test_fetched_factor_puts_the_raw_quantity_on_its_scale(factor: str, raw: float, value: float, label: str):
    heard = Heard(raw, FULL_NS, "a feed", FeedState.LIVE, 0.9)

    reading = plugins.factors.get(factor).function(FULL_NS, heard)

    assert reading.value == pytest.approx(value)
    assert (reading.raw, reading.label, reading.source, reading.confidence) == (raw, label, "a feed", 0.9)


@pytest.mark.req("0.49", "1.71")
@pytest.mark.parametrize("factor", [entry.name for entry in plugins.factors if entry.kind == "fetched"])
def test_fetched_factor_that_has_heard_nothing_is_neutral_and_names_no_source(factor: str):
    reading = plugins.factors.get(factor).function(FULL_NS, None)

    assert (reading.value, reading.confidence, reading.source, reading.state) == (0.0, 0.0, "none", FeedState.STALE)
    assert quantity_of(factor, reading, FULL_NS) is None


@pytest.mark.req("0.49")
@pytest.mark.parametrize("factor", [entry.name for entry in plugins.factors if entry.kind == "fetched"])
@pytest.mark.parametrize("state", list(FeedState))
def test_fetched_factor_counts_only_while_it_is_live(factor: str, state: FeedState):
    config = {"enabled": True, factor: {"enabled": True, "weight": 1.0}}
    entry = plugins.factors.get(factor)
    moved = False
    for raw in entry.span:
        reading = entry.function(FULL_NS, Heard(raw, FULL_NS, "a feed", state))
        moved |= any(calculate_cosmic_influence(config, {"at_ns": FULL_NS, factor: reading}).values())

    assert moved == (state in {FeedState.LIVE, FeedState.CALCULATED})


@pytest.mark.req("0.17", "1.71")
@pytest.mark.parametrize("factor", plugins.factors.names())
def test_factor_any_instant_is_bounded_deterministic_and_whole(sky: Sky, factor: str):
    """Holds for every registered factor, without a line of test code of its own."""
    entry = plugins.factors.get(factor)
    for hours in range(0, 24 * 60, 37):
        at_ns = from_iso("2025-05-01T00:00:00Z") + hours * HOUR_NS + 1234
        reading, again = (_read_any(sky, entry, at_ns) for _ in range(2))

        assert -1.0 <= reading.value <= 1.0
        assert 0.0 <= reading.confidence <= 1.0
        assert entry.span[0] <= reading.raw <= entry.span[1]
        assert reading == again == replace(reading)
        assert (reading.factor, reading.unit, reading.ttl_s) == (factor, entry.unit, entry.ttl_s)
        assert reading.as_of_ns == at_ns
        assert reading.label
        assert reading.state in FeedState
        assert reading.source == (entry.source if entry.kind != "fetched" else "a feed")
    assert entry.unit
    assert entry.doc
    assert entry.source
    assert entry.ttl_s > 0


def _read_any(sky: Sky, entry: plugins.FactorEntry, at_ns: int) -> Reading:
    middle = sum(entry.span) / 2
    given = {
        "calculated": sky.table(at_ns),
        "local": Place(),
        "fetched": Heard(middle, at_ns, "a feed", FeedState.LIVE),
    }
    reading = entry.function(at_ns, given[entry.kind])
    assert isinstance(reading, Reading)
    return reading
