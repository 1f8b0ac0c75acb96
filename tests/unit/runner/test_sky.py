"""The readings that a decision goes by: by the full hour before its close, whatever the order of arrival."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from omega.backtest.influences import load_influences
from omega.domain import NO_SOURCE, Decision, FeedState, Reading
from omega.engine.cosmic import sway
from omega.engine.decision import Context, Interceptor
from omega.engine.portfolio import Book
from services.runner.bot import Bot
from services.runner.charter import Charter
from services.runner.seen import Changed, Closed, Read
from services.runner.sky import HOUR_NS, Hours, hour_of

from .test_bot import BTC, CHARTER, MINUTE, bar, warm

NOON = 1_746_700_800_000_000_000 // HOUR_NS * HOUR_NS
ENTRY = Decision(
    bar_ts_ns=NOON,
    price=100.0,
    side=1,
    exit=False,
    size=1.0,
    stop=99.0,
    targets=((102.0, 1.0),),
    leverage=3,
    confidence=0.8,
    reason="crossed_up",
)


def moon(as_of_ns: int, degrees: float) -> Reading:
    return Reading("moon_phase", 0.0, degrees, "degree", "", "JPL DE421", as_of_ns, 3_600, 1.0, FeedState.CALCULATED)


def cosmic(**changes: object) -> Charter:
    """A charter whose entries go by a preset, read as a bot's settings are."""
    from omega.config import Settings

    plan = {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "params": {"fast": 2, "slow": 3}, **changes}
    settings = Settings.model_validate({"runner": {"bot": "alpha", "window": 200}, "bots": {"alpha": plan}})
    return Charter.of(settings)


def test_hours_reading_serves_the_first_full_hour_at_or_after_it() -> None:
    hours = Hours()

    hours.take(moon(NOON + MINUTE, 10.0))
    before = hours.at(NOON)
    after = hours.at(NOON + HOUR_NS)

    assert (before, [one.raw for one in after]) == ((), [10.0])


def test_hours_order_of_arrival_changes_nothing() -> None:
    """The reading of the hour itself wins over those of the minutes before it, and over none behind it."""
    arrivals = [moon(NOON - 30 * MINUTE, 1.0), moon(NOON - MINUTE, 2.0), moon(NOON, 3.0), moon(NOON + MINUTE, 4.0)]
    found = set()

    for order in permutations(arrivals):
        hours = Hours()
        for reading in order:
            hours.take(reading)
        found.add((hours.at(NOON), hours.at(NOON + 2 * HOUR_NS)))

    assert found == {((arrivals[2],), (arrivals[3],))}


def test_hours_without_an_answer_the_newest_one_before_serves() -> None:
    hours = Hours()
    hours.take(moon(NOON, 3.0))

    assert [one.raw for one in hours.at(NOON + HOUR_NS)] == [3.0]


def kp(as_of_ns: int, state: FeedState = FeedState.LIVE, source: str = "feed kp", ttl_s: int = 32_400) -> Reading:
    return Reading("geomagnetic_activity", 0.0, 5.0, "Kp", "storm", source, as_of_ns, ttl_s, 1.0, state)


def test_hours_a_service_that_had_heard_nothing_hides_no_feed_that_it_has_heard_since() -> None:
    """Kp is stamped with the begin of its three hours: what it says comes with an instant before the silence."""
    hours, silence = Hours(), kp(NOON, FeedState.STALE, NO_SOURCE)
    hours.take(silence)
    silent = hours.at(NOON)

    hours.take(kp(NOON - 4 * HOUR_NS))

    assert silent == (silence,)
    assert hours.at(NOON) == hours.at(NOON + HOUR_NS) == (kp(NOON - 4 * HOUR_NS),)
    hours.take(replace(silence, as_of_ns=NOON + 2 * HOUR_NS))
    assert [one.source for one in hours.at(NOON + 2 * HOUR_NS)] == [NO_SOURCE]


def test_hours_a_doubt_about_a_newer_value_is_not_overruled_by_an_older_one() -> None:
    hours = Hours()
    for reading in (kp(NOON, FeedState.IMPLAUSIBLE), kp(NOON - 4 * HOUR_NS)):
        hours.take(reading)

    assert [one.state for one in hours.at(NOON + HOUR_NS)] == [FeedState.IMPLAUSIBLE]


def test_hours_one_that_is_over_hides_no_older_one_that_still_holds() -> None:
    """A mood made of funding alone ends after minutes; joined by the index of the day it is stamped with midnight."""
    hours, brief, day = Hours(), kp(NOON, ttl_s=900), kp(NOON - 11 * HOUR_NS, ttl_s=86_400)
    hours.take(brief)
    hours.take(day)

    assert hours.at(NOON) == (brief,)
    hours.take(day)  # published again every minute
    assert hours.at(NOON + HOUR_NS) == (day,)
    assert hours.at(NOON + 12 * HOUR_NS) == (day,)


def test_hours_forgets_what_no_later_hour_can_ask_for() -> None:
    hours = Hours()
    for hour in range(48):
        hours.take(moon(NOON + hour * HOUR_NS, float(hour)))
        hours.at(NOON + hour * HOUR_NS)

    assert {factor: len(kept) for factor, kept in hours._kept.items()} == {"moon_phase": 1}


def test_bot_readings_are_those_of_the_hour_before_the_newest_close() -> None:
    bot = Bot(cosmic(cosmic="only_moon_phase"), BTC)
    row = int(HOUR_NS // MINUTE) - 2  # closes with the second hour
    for reading in (moon(0, 5.0), moon(HOUR_NS, 50.0)):
        bot.take(Read(reading))

    bot.take(Closed(bar(row - 1, 100.0), entries=True))
    before = [one.raw for one in bot.readings]
    bot.take(Closed(bar(row, 100.0), entries=True))

    assert (before, [one.raw for one in bot.readings]) == ([5.0], [50.0])


def test_bot_without_cosmic_factors_looks_at_no_reading() -> None:
    bot = warm()
    bot.take(Read(moon(0, 180.0)))

    assert bot.readings == ()


def test_bot_preset_changed_at_a_bar_applies_from_the_next_decision_on() -> None:
    plain, swayed = warm(), warm()
    swayed.take(Changed(cosmic(cosmic="only_moon_phase")))
    swayed.take(Read(moon(HOUR_NS, 180.0)))

    before = plain.take(Closed(bar(80, 1_010.0), entries=True)).made
    after = swayed.take(Closed(bar(80, 1_010.0), entries=True)).made

    assert before is not None
    assert after is not None
    assert after.decision.size > before.decision.size
    assert {entry.stage for entry in after.decision.audit} >= {"cosmic"}


def as_history_sways(preset: str, rows: int, step_ns: int) -> list[tuple[float, float]]:
    """Size and confidence of the entry at each bar, as the loop over history finds them."""
    ts = NOON + 7 * MINUTE + np.arange(rows, dtype=np.int64) * step_ns
    given = load_influences("off", preset, ts, timeframe_ns=step_ns, readings=elongation)
    series = given.cosmic
    assert series is not None
    hours = [series.row(at, step_ns) for at in ts.tolist()]
    return [
        sway(1.0, 0.8, series.risk[hour].item(), series.confidence[hour].item(), series.reach, given.live)
        for hour in hours
    ]


def elongation(factor: str, hours: np.ndarray) -> np.ndarray | None:
    """A moon in a hurry: a phase every third hour."""
    return (hours // HOUR_NS * 15 % 360).astype(np.float64) if factor == "moon_phase" else None


@pytest.mark.parametrize("preset", ["only_moon_phase", "only_time_cycle", "shipped", "all"])
@pytest.mark.parametrize("minutes", [1, 7, 60, 240])
def test_sky_of_the_fold_is_that_of_history_at_every_bar(preset: str, minutes: int) -> None:
    """The same factors at the same bar, whatever the length of the bars and wherever in the hour they close."""
    step_ns, rows = minutes * MINUTE, 400
    charter = replace(cosmic(cosmic=preset), timeframe=f"{minutes}m")
    stage: Interceptor = charter.rules(BTC, Bot(CHARTER).state.temper.mind).cosmic
    hours, found = Hours(), []

    for row in range(rows):
        ts_ns = NOON + 7 * MINUTE + row * step_ns
        hour = hour_of(ts_ns + step_ns)
        hours.take(moon(hour, float(hour // HOUR_NS * 15 % 360)))
        context = Context(ts_ns, 100.0, Book.flat(1_000.0), hours.at(hour))
        after = stage(replace(ENTRY, bar_ts_ns=ts_ns), context)
        found.append((after.size, after.confidence))

    assert found == as_history_sways(preset, rows, step_ns)
    assert len(set(found)) > 1
