"""Harmonic patterns: each found in a path built from its ratios, and in none built outside its windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omega.analytics.harmonic import projections
from omega.analytics.pivots import by_reversal
from omega.analytics.ratios import rules
from omega.analytics.scan import scan
from omega.engine import LONG, SHORT
from omega.errors import ConfigError

from .worlds import of_closes, through

# X, A, B, C, D of rising patterns (a call to buy at D), built from one ideal value of each ratio.
IDEAL = {
    "gartley": {"ab": 0.618, "bc": 0.618, "ad": 0.786},
    "bat": {"ab": 0.45, "bc": 0.618, "ad": 0.886},
    "alt_bat": {"ab": 0.382, "bc": 0.886, "ad": 1.13},
    "butterfly": {"ab": 0.786, "bc": 0.618, "ad": 1.27},
    "crab": {"ab": 0.5, "bc": 0.886, "ad": 1.618},
    "deep_crab": {"ab": 0.886, "bc": 0.618, "ad": 1.618},
    "shark": {"ab": 0.5, "bc": 1.4, "ad": 1.0},
    "cypher": {"ab": 0.5, "c": 1.33, "xc": 0.786},
    "five_o": {"ab": 1.3, "bc": 1.8, "cd": 0.5},
    "abcd": {"ab": 0.3, "bc": 0.618, "cd": 1.618},
}


def points_of(ratios: dict[str, float]) -> list[float]:
    """Return X to D from ratios, XA rising from 1,000 to 1,200."""
    x, a = 1_000.0, 1_200.0
    b = a - ratios["ab"] * (a - x)
    c = x + ratios["c"] * (a - x) if "c" in ratios else b + ratios["bc"] * (a - b)
    if "ad" in ratios:
        d = a - ratios["ad"] * (a - x)
    elif "xc" in ratios:
        d = c - ratios["xc"] * (c - x)
    else:
        d = c - ratios["cd"] * (c - b)
    return [x, a, b, c, d]


def path(points: list[float]) -> list[float]:
    """Return the points with a fall before X, so that it is a pivot, and a rise after D that confirms it."""
    return [points[0] + 150.0, *points, points[-1] + 150.0]


@pytest.mark.req("2.57", "1.14", "2.52")
@pytest.mark.parametrize("name", IDEAL)
@pytest.mark.parametrize("direction", [LONG, SHORT])
def test_harmonic_found_where_its_ratios_are(name: str, direction: int) -> None:
    points = points_of(IDEAL[name])
    if direction == SHORT:
        points = [2_200.0 - point for point in points]
    bars = through([2_200.0 - p for p in path([2_200.0 - p for p in points])] if direction == SHORT else path(points))

    found = [f for f in scan(bars, ["harmonic"]) if f.name == name and f.direction == direction]

    assert len(found) == 1
    one = found[0]
    wanted = points[-len(one.points) :]
    assert [p.price for p in one.points] == pytest.approx(wanted)
    assert one.score > 0.9
    assert one.zone is not None
    assert one.zone[0] <= one.points[-1].price <= one.zone[1]
    assert one.points[-1].row < one.confirmed
    assert direction * (one.price - one.invalidation) > 0.0


@pytest.mark.req("2.57")
@pytest.mark.parametrize("name", [name for name in IDEAL if "ad" in IDEAL[name]])
@pytest.mark.parametrize("beyond", [-1, 1])
def test_harmonic_not_found_where_d_lies_outside(name: str, beyond: int) -> None:
    window = rules()[name][0]["ad"]
    outside = window.ends[0] * 0.99 if beyond < 0 else window.ends[1] * 1.01

    found = scan(through(path(points_of({**IDEAL[name], "ad": outside}))), ["harmonic"])

    assert name not in {f.name for f in found if f.points[0].price == pytest.approx(1_000.0)}


@pytest.mark.req("2.57")
@pytest.mark.parametrize("drive", [1.27, 1.618])
def test_harmonic_finds_three_drives(drive: float) -> None:
    zero, one = 1_000.0, 1_100.0
    a = one - 0.7 * (one - zero)
    two = a + drive * (one - a)
    b = two - 0.7 * (two - a)
    three = b + drive * (two - b)

    found = scan(through([zero + 80, zero, one, a, two, b, three, three - 80]), ["harmonic"])

    drives = [f for f in found if f.name == "three_drives"]
    assert [(f.direction, f.points[-1].price) for f in drives] == [(SHORT, pytest.approx(three))]
    assert [p.label for p in drives[0].points] == ["0", "1", "A", "2", "B", "3"]


def test_harmonic_three_drives_must_be_alike_in_time() -> None:
    zero, one = 1_000.0, 1_100.0
    a = one - 0.7 * (one - zero)
    two = a + 1.27 * (one - a)
    b = two - 0.7 * (two - a)
    three = b + 1.27 * (two - b)
    slow = through([zero + 80, zero, one, a, two, b])
    long = np.linspace(b, three, 60)[1:]
    bars = of_closes(np.concatenate([slow.close, long, np.linspace(three, three - 80, 13)[1:]]))

    assert "three_drives" not in {f.name for f in scan(bars, ["harmonic"])}


def test_harmonic_projection_names_the_zone_before_d_is_there() -> None:
    points = points_of(IDEAL["gartley"])
    bars = through([1_150.0, *points[:-1], points[-1]])
    pivots = by_reversal(bars)
    assert pivots.price[-1] == pytest.approx(points[3])

    coming = {p.name: p for p in projections(pivots)}

    assert coming["gartley"].direction == LONG
    low, high = coming["gartley"].zone
    assert low <= points[-1] <= high
    assert high - low < 20.0
    assert coming["gartley"].known < bars.n


def test_harmonic_bat_and_crab_are_told_apart_by_d() -> None:
    """They share B: every match is reported, and D decides."""
    bat = {f.name for f in scan(through(path(points_of(IDEAL["bat"]))), ["harmonic"])}
    crab = {f.name for f in scan(through(path(points_of(IDEAL["crab"]))), ["harmonic"])}

    assert ("bat" in bat, "crab" in bat) == (True, False)
    assert ("bat" in crab, "crab" in crab) == (False, True)


@pytest.mark.req("2.49")
@pytest.mark.parametrize(
    ("text", "message"),
    [("gartley:\n  - {abx: 0.6}\n", "unknown ratio abx"), ("bat:\n  - {ab: [0.5, 0.4]}\n", "no rising pair")],
)
def test_harmonic_rules_refuse_what_they_cannot_mean(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        rules(file)
