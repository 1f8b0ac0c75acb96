"""Golden ratio, resonance, cycles and harmonic patterns: goldens, planted findings, and chance called chance."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.analytics.golden import golden_test
from omega.analytics.ratios import rules
from omega.cosmic.cycles import dominant_cycles, resonance_at
from omega.cosmic.golden import fibonacci_numbers, golden, golden_legs, harmony_of
from omega.cosmic.harmonics import Pivot, find_patterns, harmonic_windows
from omega.engine.fibonacci import PHI
from omega.errors import CorruptData

DRAWS = 199


def walk(seed: int, length: int = 200) -> np.ndarray:
    return np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.01, length)))


@pytest.mark.req("2.50")
def test_golden_and_harmony_have_their_goldens():
    assert golden(100, 161.8034) == pytest.approx(1.0, abs=5e-7)
    assert golden(100, 100) == pytest.approx(0.618034, abs=5e-7)
    assert harmony_of([1, 2, 3, 5, 8]) == pytest.approx(0.912445, abs=5e-7)
    assert (harmony_of([]), harmony_of([3]), harmony_of([1, 0, 2]), harmony_of([1, -2])) == (0.5, 0.5, 0.0, 0.0)


@pytest.mark.parametrize("values", [[1.0, float("nan")], [float("inf"), float("inf")]])
def test_harmony_of_what_is_no_number_is_refused(values: list[float]):
    with pytest.raises(CorruptData, match="finite"):
        harmony_of(values)


@pytest.mark.req("2.50")
@given(st.lists(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False), max_size=30))
def test_harmony_is_always_in_zero_to_one(values: list[float]):
    assert 0.0 <= harmony_of(values) <= 1.0


@pytest.mark.req("2.47")
def test_fibonacci_numbers_are_made():
    numbers = fibonacci_numbers(30)

    assert numbers[:7] == [1, 1, 2, 3, 5, 8, 13]
    assert all(a + b == c for a, b, c in zip(numbers, numbers[1:], numbers[2:], strict=False))
    assert numbers[-1] / numbers[-2] == pytest.approx(PHI)
    assert (fibonacci_numbers(1), fibonacci_numbers(0)) == ([1], [])


@pytest.mark.req("2.55", "2.59")
def test_golden_legs_that_alternate_by_phi_are_significant_and_a_walk_is_not():
    """Each small leg is phi times smaller than the large one before it, among legs of many sizes."""
    rng = np.random.default_rng(1)
    legs = []
    for size in rng.uniform(1.0, 9.0, 40):
        legs += [size, size / PHI]
    price = 1_000.0 + np.cumsum(np.array([0.0, *legs]) * np.resize([1.0, -1.0], len(legs) + 1))

    planted = golden_legs(price.tolist(), draws=DRAWS)
    chance = [golden_legs(walk(seed).tolist(), draws=DRAWS).significant for seed in range(60)]

    assert planted.significant
    assert planted.share > 2 * planted.expected
    assert sum(chance) <= 7
    assert golden_legs([1.0, 2.0]).verdict == "not significant"


def test_golden_legs_are_judged_as_the_fibonacci_report_judges_them():
    """One question, one test: whoever asks the cosmic service and the analytics hears the same."""
    sizes = np.random.default_rng(4).uniform(1.0, 9.0, 60)
    series = np.cumsum(np.concatenate(([1_000.0], sizes * np.resize([1.0, -1.0], sizes.size))))
    found, report = golden_legs(series.tolist()), golden_test(sizes, np.random.default_rng(7))

    assert (found.share, found.ratios) == (pytest.approx(report.share), report.n)
    assert found.p_value == pytest.approx(max(report.p_value, report.placebo_p_value), abs=0.02)
    assert golden_legs(series[:15].tolist()).p_value == 1.0, "too few to say"


@pytest.mark.req("2.53", "2.60")
def test_resonance_of_random_walks_is_not_significant_in_95_of_100():
    """The test is exact: of 200 walks about 10 are called significant; more than 20 would happen once in 700 runs."""
    found = sum(resonance_at(walk(seed).tolist(), draws=DRAWS).significant for seed in range(200))

    assert found <= 20


@pytest.mark.req("2.53", "2.60")
def test_resonance_finds_a_planted_period_and_says_which():
    rows = np.arange(240)
    price = np.exp(0.05 * np.sin(2 * np.pi * rows / 24) + np.log(walk(5, 240)) / 5)

    found = resonance_at(price.tolist(), [12, 24, 48], draws=DRAWS)

    assert found.verdict == "significant"
    assert max(found.powers, key=lambda pair: pair[1])[0] == 24.0
    assert found.p_values[1] == min(found.p_values)


@pytest.mark.req("2.54", "2.58")
@pytest.mark.parametrize("period", [11, 20, 32])
def test_cycles_recover_a_planted_period_within_one_bin_and_its_turns(period: int):
    rows = np.arange(320)
    price = np.exp(0.05 * np.cos(2 * np.pi * rows / period) + np.log(walk(6, 320)) / 10)

    found = dominant_cycles(price.tolist(), draws=DRAWS)

    best = found.cycles[0]
    assert found.significant
    assert abs(320 / best.period - 320 / period) <= 1.0
    to_high = -319 % period
    assert min(abs(best.next_high - to_high), period - abs(best.next_high - to_high)) <= period / 6
    assert best.next_low - best.next_high == pytest.approx(period / 2, rel=0.1) or best.next_low < best.next_high
    assert all(zone > 0 for zone in found.zones)


@pytest.mark.req("2.54", "2.58")
def test_cycles_of_noise_say_so():
    found = [dominant_cycles(walk(seed).tolist(), draws=DRAWS) for seed in range(100)]

    assert sum(one.significant for one in found) <= 12
    quiet = next(one for one in found if not one.significant)
    assert (quiet.verdict, quiet.confidence) == ("not significant", 0.0)


@pytest.mark.parametrize("series", [[1.0] * 10, [0.0] * 64, [*[1.0] * 63, float("nan")], [-1.0] * 64])
def test_cycles_without_enough_sound_prices_are_refused(series: list[float]):
    with pytest.raises(CorruptData):
        dominant_cycles(series)


def test_cycles_of_a_flat_price_are_nothing():
    assert not dominant_cycles([5.0] * 64, draws=DRAWS).significant


@pytest.mark.parametrize("length", [32, 33, 34, 35])
def test_resonance_at_the_shortest_period_has_a_frequency_for_every_length(length: int):
    found = resonance_at(walk(1, length).tolist(), [2.0], draws=19)

    assert 0.0 <= found.powers[0][1] <= 1.0


def test_resonance_at_a_period_that_does_not_fit_is_refused():
    with pytest.raises(CorruptData, match="periods"):
        resonance_at(walk(1).tolist(), [1.0])


def build(ab: float, bc: float, cd: float, *, up: bool) -> list[Pivot]:
    """Five pivots with the given leg ratios, the first leg of 10 % around 100."""
    sign, price, leg = (1.0 if up else -1.0), 100.0, 10.0
    prices = [price]
    for ratio in (1.0, ab, bc, cd):
        leg *= ratio
        price += sign * leg
        sign = -sign
        prices.append(price)
    return [Pivot(number, price) for number, price in enumerate(prices)]


def ideal(name: str) -> tuple[float, float, float]:
    """Leg ratios inside every window of a pattern."""
    windows = harmonic_windows()[name]
    rng = np.random.default_rng(0)
    spans = {key: (windows[key].low, windows[key].high) if key in windows else (0.3, 2.0) for key in ("ab", "bc", "cd")}
    for _ in range(400_000):
        ab, bc, cd = (rng.uniform(*spans[key]) for key in ("ab", "bc", "cd"))
        found = find_patterns(build(ab, bc, cd, up=True), {name: windows})
        if found:
            return ab, bc, cd
    raise AssertionError(name)


@pytest.mark.req("2.52", "2.57")
@pytest.mark.parametrize("name", list(harmonic_windows()))
@pytest.mark.parametrize("up", [True, False])
def test_pattern_built_from_its_ratios_is_found_and_just_outside_is_not(name: str, up: bool):
    windows = {name: harmonic_windows()[name]}
    ratios = ideal(name)

    (match,) = find_patterns(build(*ratios, up=up), windows)

    assert match.bullish is up
    assert set(match.ratios) == set(windows[name])
    assert match.score == pytest.approx(
        sum(abs(log(match.ratios[key] / min(max(match.ratios[key], window.low), window.high)))
            for key, window in windows[name].items())
    )  # fmt: skip
    ab, bc, cd = ratios
    assert find_patterns(build(ab, bc, cd * 3.0, up=up), windows) == ()
    assert find_patterns(build(ab, bc, cd, up=up)[:4], windows) == ()


@pytest.mark.req("2.48")
def test_harmonic_windows_are_those_of_every_pattern_with_five_points():
    assert set(harmonic_windows()) == set(rules()) - {"abcd", "three_drives"}
    assert all(len(rules()[name]) == 1 for name in harmonic_windows())


def test_pivots_that_do_not_alternate_are_refused():
    with pytest.raises(CorruptData, match="alternate"):
        find_patterns([Pivot(0, 1.0), Pivot(1, 2.0), Pivot(2, 3.0)])
    with pytest.raises(CorruptData, match="above zero"):
        find_patterns([Pivot(0, -1.0)])
    assert find_patterns([Pivot(0, exp(1.0))]) == ()
