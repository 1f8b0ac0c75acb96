"""How far a feed is believed: live, stale, frozen, implausible, model; on recorded series too."""

import csv
import os
from pathlib import Path

import pytest

from omega.cosmic.feeds import Rule, Sample, Track
from omega.cosmic.liquidity import LiquidityMeter, Ranks, state_of
from omega.cosmic.readings import Heard
from omega.cosmic.schumann import band_of, model_amplitude, model_hz, resonance, simulated
from omega.cosmic.sentiment import blended, of_change, of_funding
from omega.cosmic.sentiment import state_of as mood_of
from omega.domain import MINUTE_NS, SECOND_NS, FeedState, from_iso
from omega.engine.conditions import quantity_of
from omega.errors import CorruptData
from services.cosmic.factors.global_sentiment import global_sentiment
from services.cosmic.feeds.schumann import RULE as SCHUMANN
from services.cosmic.feeds.schumann import played

START = from_iso("2025-08-20T00:00:00Z")
HOUR = 60 * MINUTE_NS
RULE = Rule(low=0.0, high=100.0, stale_s=3_600.0, frozen_after=3, neutral=50.0)


def shared(*parts: str) -> list[dict[str, str]]:
    folder = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: set OMEGA_SHARED_DATA to the folder of the recorded data")
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def fed(*raws: float, rule: Rule = RULE) -> tuple[Track, list[FeedState]]:
    track = Track(rule)
    states = [track.take(Sample(raw, START + number * MINUTE_NS, "test")) for number, raw in enumerate(raws)]
    return track, states


@pytest.mark.req("0.49")
def test_track_judges_every_state():
    track, states = fed(40.0, 41.0, 41.0, 41.0, 41.0, 42.0, 200.0)

    live, frozen, implausible = FeedState.LIVE, FeedState.FROZEN, FeedState.IMPLAUSIBLE
    assert states == [live, live, live, live, frozen, live, implausible]
    assert track.rejected == 200.0
    heard = track.at(START + 6 * MINUTE_NS)
    assert heard is not None
    assert (heard.raw, heard.state, heard.confidence) == (42.0, implausible, 0.0)


def test_track_shows_what_was_known_at_an_instant_and_its_age():
    track, _ = fed(40.0, 41.0)

    assert track.at(START - 2 * MINUTE_NS) is None
    first, later, old = (track.at(at_ns) for at_ns in (START - MINUTE_NS, START + HOUR, START + HOUR + 2 * MINUTE_NS))
    assert first is not None
    assert later is not None
    assert old is not None
    assert (first.raw, later.raw, later.state) == (40.0, 41.0, FeedState.LIVE)
    assert (old.raw, old.state, old.confidence) == (41.0, FeedState.STALE, 0.0)


def test_track_the_same_publication_again_changes_nothing():
    track = Track(RULE)
    for _ in range(20):
        track.take(Sample(40.0, START, "test"))

    assert track.take(Sample(41.0, START + 1, "test")) is FeedState.LIVE


@pytest.mark.parametrize("raw", [float("nan"), float("inf"), -1.0])
def test_track_first_value_that_is_unsound_shows_the_neutral_one(raw: float):
    track, (state,) = fed(raw)

    heard = track.at(START)

    assert state is FeedState.IMPLAUSIBLE
    assert heard is not None
    assert heard.raw == 50.0
    assert track.saved() == ""


def test_track_saved_and_restored_goes_on_counting():
    track, _ = fed(41.0, 41.0, 41.0)
    again = Track(RULE)

    again.restore(track.saved(), START + HOUR)

    assert again.newest == track.newest
    assert again.take(Sample(41.0, START + HOUR, "test")) is FeedState.FROZEN


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"raw": "x"}', "null"])
def test_track_restored_from_rubbish_says_so(text: str):
    with pytest.raises(CorruptData, match="unsound"):
        Track(RULE).restore(text, START)


@pytest.mark.parametrize(("raw", "as_of_ns"), [("NaN", START), ("101.0", START), ("40.0", START + HOUR), ("40.0", -1)])
def test_track_does_not_believe_a_saved_value_that_no_feed_could_say(raw: str, as_of_ns: int):
    track = Track(RULE)
    rest = '"source": "x", "confidence": 1, "modelled": false, "unchanged": 0}'
    saved = f'{{"raw": {raw}, "as_of_ns": {as_of_ns}, {rest}'

    with pytest.raises(CorruptData):
        track.restore(saved, START)

    assert track.newest is None
    assert track.at(START) is None


@pytest.mark.req("0.49")
def test_schumann_scraped_sample_is_implausible_once_and_frozen_in_its_long_run():
    track, seen = Track(SCHUMANN), {}
    for row in shared("schumann", "gaiaeyes-image-derived-202508.csv"):
        hertz = float(row["f1_hz_image_derived"])
        seen[row["utc"]] = (hertz, track.take(Sample(hertz, from_iso(row["utc"]), "image")))

    assert [hertz for hertz, state in seen.values() if hertz > 11] == [11.96]
    assert all(state is FeedState.IMPLAUSIBLE for hertz, state in seen.values() if not 7.2 <= hertz <= 8.5)
    assert sum(state is FeedState.FROZEN for _, state in seen.values()) >= 16


def test_schumann_measured_day_is_live_throughout():
    for sensor in ("NS", "EW"):
        track = Track(SCHUMANN)
        rows = [r for r in shared("schumann", "sierra-nevada-20150301-10min.csv") if r["sensor"] == sensor]
        states = [track.take(Sample(float(r["f1_hz"]), int(r["ts"]) * 1_000_000, sensor)) for r in rows]
        assert len(states) == 144
        assert set(states) == {FeedState.LIVE}


def test_schumann_model_fits_the_measured_day():
    """The residuals that the fit was published with: 0.037 Hz and 0.022 pT/sqrt(Hz)."""
    by_time: dict[int, dict[str, dict[str, str]]] = {}
    for row in shared("schumann", "sierra-nevada-20150301-10min.csv"):
        by_time.setdefault(int(row["ts"]) // 600_000, {})[row["sensor"]] = row
    pairs = [pair for pair in by_time.values() if len(pair) == 2]
    off_hz, off_amplitude = [], []
    for pair in pairs:
        at_ns = int(pair["NS"]["ts"]) * 1_000_000
        off_hz.append((float(pair["NS"]["f1_hz"]) + float(pair["EW"]["f1_hz"])) / 2 - model_hz(at_ns))
        amplitude = (float(pair["NS"]["amp1_pt_rthz"]) ** 2 + float(pair["EW"]["amp1_pt_rthz"]) ** 2) ** 0.5
        off_amplitude.append(amplitude - model_amplitude(at_ns))

    assert len(pairs) > 100
    assert (sum(x * x for x in off_hz) / len(off_hz)) ** 0.5 < 0.05
    assert (sum(x * x for x in off_amplitude) / len(off_amplitude)) ** 0.5 < 0.03


@pytest.mark.parametrize(
    ("hertz", "band", "near"),
    [(6.4999, "very_low", None), (6.5, "low", None), (7.4, "baseline", None), (7.83, "baseline", 1.0),
     (7.0, "low", 0.893997), (8.5, "baseline", 0.914432), (8.6, "elevated", None), (9.6, "high", None),
     (12.0, "very_high", None)],
)  # fmt: skip
def test_schumann_bands_are_half_open_and_resonance_has_its_goldens(hertz: float, band: str, near: float | None):
    assert band_of(hertz) == band
    if near is not None:
        assert resonance(hertz) == pytest.approx(near, abs=5e-7)


def test_schumann_simulator_is_a_function_of_seed_and_minute():
    values = [simulated(7, START + number * MINUTE_NS) for number in range(800)]

    assert values == [simulated(7, START + number * MINUTE_NS + 5) for number in range(800)]
    assert values != [simulated(8, START + number * MINUTE_NS) for number in range(800)]
    assert all(4.0 <= hertz <= 40.0 for hertz, _ in values)
    share = sum(name == "baseline" for _, name in values) / len(values)
    assert 0.35 < share < 0.65


def test_schumann_simulator_under_retrograde_mercury_is_more_often_chaotic():
    instants = [START + number * HOUR * 4 for number in range(3_000)]
    calm, upset = (
        sum(simulated(7, at, retrograde=retrograde)[1] == "chaotic" for at in instants) / len(instants)
        for retrograde in (False, True)
    )

    assert calm == pytest.approx(0.08, abs=0.02)
    assert upset == pytest.approx(0.16 / 1.08, abs=0.025)


def test_schumann_simulator_is_labelled_and_no_live_reading_in_live_mode():
    live, play = (played(7, START, retrograde=False, live=live) for live in (True, False))

    assert live.source.startswith("simulated")
    assert (live.state, play.state) == (FeedState.MODEL, FeedState.LIVE)


@pytest.mark.parametrize(
    ("index", "state"),
    [(0, "despair"), (12, "despair"), (25, "pessimistic"), (26, "fearful"), (46, "cautious"), (47, "neutral"),
     (54, "neutral"), (55, "optimistic"), (75, "optimistic"), (76, "euphoric")],
)  # fmt: skip
def test_sentiment_bands_are_those_of_the_index(index: float, state: str):
    assert mood_of(index) == state


def test_sentiment_of_funding_and_change_is_bounded_and_centred():
    assert (of_funding(0.0), of_funding(1.0), of_funding(-1.0), of_funding(0.00025)) == (50.0, 100.0, 0.0, 75.0)
    assert (of_change(0.0), of_change(0.5), of_change(-0.5), of_change(0.05)) == (50.0, 100.0, 0.0, 75.0)


def heard(raw: float, state: FeedState = FeedState.LIVE, as_of_ns: int = START) -> Heard:
    return Heard(raw, as_of_ns, "x", state, 1.0 if state is FeedState.LIVE else 0.0)


def test_sentiment_blends_what_is_live_and_leaves_out_the_rest():
    all_live = blended({"fear_greed": heard(20.0), "funding": heard(60.0), "change": heard(80.0, as_of_ns=START - 5)})
    one_live = blended({"fear_greed": heard(20.0, FeedState.STALE), "funding": heard(60.0), "change": None})
    none_live = blended({"fear_greed": heard(20.0, FeedState.FROZEN), "funding": None, "change": None})

    assert all_live == Heard(45.0, START - 5, "x + x + x", FeedState.LIVE, 1.0)
    assert one_live == Heard(60.0, START, "x", FeedState.LIVE, 0.25)
    assert none_live is not None
    assert none_live.state is FeedState.FROZEN
    assert blended({"fear_greed": None, "funding": None, "change": None}) is None


@pytest.mark.req("0.49")
def test_sentiment_may_be_used_until_the_first_of_its_parts_may_not():
    """Who hears nothing more goes by the reading alone: minutes of funding must not count for the day of an index."""
    index, funding = Track(Rule(0.0, 100.0, stale_s=90_000.0)), Track(Rule(0.0, 100.0, stale_s=900.0))
    index.take(Sample(20.0, START, "index"))
    funding.take(Sample(60.0, START + HOUR, "funding"))
    at_ns = START + HOUR + MINUTE_NS

    both, alone, slow = (
        global_sentiment(at_ns, blended(parts))
        for parts in (
            {"fear_greed": index.at(at_ns), "funding": funding.at(at_ns), "change": None},
            {"fear_greed": None, "funding": funding.at(at_ns), "change": None},
            {"fear_greed": index.at(at_ns), "funding": None, "change": None},
        )
    )

    assert (both.as_of_ns, both.ttl_s) == (START, 3_600 + 900)
    assert (alone.as_of_ns, alone.ttl_s) == (START + HOUR, 900)
    assert (slow.as_of_ns, slow.ttl_s) == (START, 86_400)
    bounds = [quantity_of("global_sentiment", both, START + age_s * SECOND_NS) for age_s in (4_500, 4_501)]
    assert bounds == [pytest.approx(100 / 3), None]


def test_ranks_forget_what_leaves_the_window():
    ranks = Ranks(window=3)
    for value in (1.0, 2.0, 3.0, 4.0):
        ranks.add(value)

    assert len(ranks) == 3
    assert (ranks.rank(1.0), ranks.rank(3.0), ranks.rank(9.0)) == (0.0, 0.5, 1.0)


def test_liquidity_narrow_deep_and_busy_is_abundant_and_its_opposite_dry():
    meter = LiquidityMeter(window=100, least=10)
    for minute in range(50):
        told = meter.minute(spread=1e-4 + minute % 7 * 1e-5, depth=100.0 + minute % 5, volume=10.0 + minute % 3)
        assert (told is None) == (minute < 9)

    best = meter.minute(spread=1e-6, depth=900.0, volume=90.0)
    worst = meter.minute(spread=1e-2, depth=1.0, volume=0.1)

    assert best is not None
    assert worst is not None
    assert (state_of(best[0]), state_of(worst[0])) == ("abundant", "dry")
    assert -1.0 <= worst[0] < best[0] <= 1.0
    assert best[1] == pytest.approx(51 / 100)
    assert meter.minute() is None


def test_stale_bound_is_in_seconds():
    track = Track(Rule(0.0, 9.0, stale_s=10.0))
    track.take(Sample(1.0, START, "test"))

    states = [one.state for age in (10, 11) if (one := track.at(START + age * SECOND_NS)) is not None]

    assert states == [FeedState.LIVE, FeedState.STALE]
