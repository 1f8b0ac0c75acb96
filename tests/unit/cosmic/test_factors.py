from collections.abc import Iterator
from dataclasses import replace

import pytest

from omega import plugins
from omega.domain import FeedState, Reading, from_iso
from services.cosmic.sky import Sky
from services.cosmic.table import HOUR_NS

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


@pytest.mark.req("0.17", "1.71")
@pytest.mark.parametrize("factor", plugins.factors.names())
def test_factor_any_instant_is_bounded_deterministic_and_whole(sky: Sky, factor: str):
    """Holds for every registered factor, without a line of test code of its own."""
    entry = plugins.factors.get(factor)
    for hours in range(0, 24 * 60, 37):
        at_ns = from_iso("2025-05-01T00:00:00Z") + hours * HOUR_NS + 1234
        reading = read(sky, factor, at_ns)

        assert -1.0 <= reading.value <= 1.0
        assert 0.0 <= reading.confidence <= 1.0
        assert reading == read(sky, factor, at_ns) == replace(reading)
        assert (reading.factor, reading.unit, reading.source, reading.ttl_s) == (
            factor,
            entry.unit,
            entry.source,
            entry.ttl_s,
        )
        assert reading.as_of_ns == at_ns
        assert reading.label
        assert reading.state in FeedState
    assert entry.unit
    assert entry.doc
    assert entry.ttl_s > 0
