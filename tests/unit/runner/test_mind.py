"""The state of mind in the fold: one reaction a round trip, before the decision of its bar; also after a restart."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.backtest.presets import load_preset, load_profile, profile_names
from omega.bus import FundingPaid
from omega.domain import Bar, Fill, Mode, Side, TradeId
from omega.engine.profile import Mind
from omega.engine.stages import PsychologyStage
from omega.errors import ConfigError, CorruptData
from omega.storage.lake.read import read_market
from services.runner.bot import Bot
from services.runner.charter import Charter
from services.runner.mind import Temper, Trip
from services.runner.replay import Replay
from services.runner.seen import Again, Changed, Closed, Filled, Funded, History, Read, Seen
from services.runner.session import Session, code_of
from services.runner.sky import HOUR_NS
from services.runner.state import BotState
from services.runner.status import bot_status

from .test_bot import BTC, CHARTER, FALL, MINUTE, bar, fill, warm
from .test_sky import moon

DATA = Path(__file__).parents[3] / "data" / "candles"
BEFORE = Path(__file__).parent / "data" / "before_influences.session.jsonl"
"""Recorded by the runner as it was before it knew psychology and cosmic factors; the hour is on recorded Bitcoin."""
LIVELY = replace(CHARTER, params={"fast": 3, "slow": 6, "stop_pct": 0.001, "target_pct": 0.001}, window=150)


def of(profile: str, charter: Charter = LIVELY) -> Charter:
    return replace(charter, psychology=profile, profile=load_profile(profile))


def at(event: Fill, row: int, seconds: int = 0) -> Fill:
    """Move a fill into a bar."""
    ts_ns = (row + 1) * MINUTE + seconds * 1_000_000_000
    return replace(event, ts_ns=ts_ns, trade_id=TradeId(f"t{ts_ns}"))


def bitcoin(rows: int) -> Iterator[Bar]:
    """Recorded minutes."""
    bars = read_market(DATA / "BTCUSDT-1m.parquet", "BTCUSDT", "1m").bars.since(5_000).prefix(rows)
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return itertools.starmap(Bar, zip(*(column.tolist() for column in columns), strict=True))


class Market:
    """Fills what a bot asks for at the next open, its stop and its target inside the bar; keeps what the bot saw."""

    def __init__(self, bot: Bot, log: Session | None = None) -> None:
        self.bot, self.log = bot, log
        self.seen: list[Seen] = []
        self.decided: list[Any] = []
        self.minds: list[Mind] = []
        self._asked: Any = ()
        self._guard: Any = None

    def fold(self, seen: Seen) -> Any:
        self.seen.append(seen)
        done = self.bot.take(seen)
        if self.log is not None:
            self.log.note(seen, done)
        return done

    def fill(self, side: Side, size: Decimal, price: Decimal, ts_ns: int) -> None:
        fee = (size * price * Decimal("0.0006")).quantize(Decimal("1e-8"))
        made = replace(fill(side, "1", "1"), size=size, price=price, fee=fee, ts_ns=ts_ns)
        self.fold(Filled(replace(made, trade_id=TradeId(f"t{len(self.seen)}")), f"{len(self.seen)}-0"))

    def play(self, bars: Iterator[Bar], warmup: int = 130) -> Market:
        for row, one in enumerate(bars):
            close_ns = one.ts_ns + MINUTE
            if self.bot.charter.factors and not close_ns % HOUR_NS:
                self.fold(Read(moon(close_ns, 180.0)))
            if row < warmup:
                self.fold(History(one))
                continue
            for intent in self._asked:
                self.fill(intent.side, intent.size, Decimal(repr(one.open)), one.ts_ns)
                self._guard = None if intent.reduces else intent
            self._touch(one)
            done = self.fold(Closed(one, entries=True))
            self._asked = done.intents
            self.decided.append(done)
            self.minds.append(self.bot.state.temper.mind)
        return self

    def _touch(self, one: Bar) -> None:
        guard = self._guard
        if guard is None or not self.bot.position:
            return
        stop, target = guard.stop, guard.target
        if stop and Decimal(repr(one.low)) <= stop:
            self.fill(Side.SELL, self.bot.position, stop, one.ts_ns + 1)
        elif target and Decimal(repr(one.high)) >= target:
            self.fill(Side.SELL, self.bot.position, target, one.ts_ns + 2)


@pytest.mark.req("0.09")
def test_mind_off_a_session_of_before_replays_to_the_last_byte() -> None:
    """Defaults keep every decision's bits as they were before there were profiles and presets."""
    outcome = Replay(BEFORE).run().as_json()

    assert outcome["ok"], outcome["differences"]
    assert (outcome["decisions"], outcome["intents"], outcome["fills"]) == (110, 10, 16)


def test_mind_reacts_once_a_round_trip_before_the_decision_of_its_bar() -> None:
    """Entry in one bar, exit in two parts: one reaction, at the close of the bar of the last part."""
    bot, row = warm(of("strategic", CHARTER)), len(FALL)
    first = bot.state.temper.mind
    bot.take(Filled(at(fill(Side.BUY, "0.1", "960"), row), "1-0"))
    bot.take(Closed(bar(row, 958.0), entries=True))
    bot.take(Filled(at(fill(Side.SELL, "0.06", "940"), row + 1, 5), "2-0"))
    bot.take(Closed(bar(row + 1, 940.0), entries=True))
    open_ = bot.state.temper.mind
    bot.take(Filled(at(fill(Side.SELL, "0.04", "930"), row + 3, 50), "3-0"))
    before = bot.state.temper.mind
    bot.take(Closed(bar(row + 3, 930.0), entries=True))

    # 0.06 * -20 + 0.04 * -30, less three fees of 0.1, of 1,000; held for three bars.
    stage = PsychologyStage(of("strategic").profile.traits(), first, live=False)  # type: ignore[union-attr]
    want = stage.after_trade(-0.0027, held_min=3.0, drawdown=bot.state.portfolio.drawdown, ts_ns=(row + 4) * MINUTE)
    assert open_ == before == first
    assert bot.state.temper.mind == want.mind != first
    assert (bot.state.trips.ended, bot.rules.psychology) == ([], want)


def test_mind_counts_from_bar_to_bar_not_from_fill_to_fill() -> None:
    """Nine minutes and a half over ten bars are ten minutes, as history counts them: no quick win."""
    stage, second = PsychologyStage.of(load_profile("strategic"), live=False), 1_000_000_000  # type: ignore[arg-type]
    trip = Trip(Decimal(1_000), Decimal(5), MINUTE + 59 * second, 11 * MINUTE + 29 * second)
    quick = replace(trip, until_ns=11 * MINUTE - second)

    slow = Temper().react(stage, trip, drawdown=0.0, bar_ns=MINUTE)
    fast = Temper().react(stage, quick, drawdown=0.0, bar_ns=MINUTE)

    assert slow == stage.after_trade(0.005, held_min=10.0, drawdown=0.0, ts_ns=11 * MINUTE)
    assert slow.mind[4] == load_profile("strategic").intuition  # type: ignore[union-attr]
    assert fast.mind[4] > slow.mind[4]


def test_mind_funding_after_the_exit_belongs_to_the_trip_that_has_ended() -> None:
    paid = FundingPaid("alpha", "bitget", "main", "BTC-USDT.P", Decimal(5), "f", 1)
    bot = warm(of("strategic", CHARTER))
    bot.take(Filled(at(fill(Side.BUY, "0.1", "960"), 80), "1-0"))
    bot.take(Filled(at(fill(Side.SELL, "0.1", "960"), 80, 9), "2-0"))
    bot.take(Funded(paid, "3-0"))
    (trip,) = bot.state.trips.ended
    bot.take(Closed(bar(80, 958.0), entries=True))

    assert trip.result == pytest.approx((5 - 0.2) / 1_000)
    assert bot.state.temper.mind[6:] == (1, 0, 1)


def test_mind_position_that_turns_ends_one_trip_and_begins_another() -> None:
    bot = warm(of("strategic", CHARTER))
    bot.take(Filled(at(fill(Side.BUY, "0.1", "960"), 80), "1-0"))
    bot.take(Closed(bar(80, 958.0), entries=True))
    bot.take(Filled(at(fill(Side.SELL, "0.3", "950"), 81), "2-0"))
    (trip,) = bot.state.trips.ended
    bot.take(Filled(at(fill(Side.BUY, "0.2", "940"), 81, 30), "3-0"))
    first, second = bot.state.trips.ended

    assert trip == first
    assert (first.gained, first.since_ns, first.until_ns) == (Decimal("-1.2"), 81 * MINUTE, 82 * MINUTE)
    assert (second.base, second.gained, second.since_ns) == (Decimal("998.8"), Decimal("1.9"), 82 * MINUTE)


@pytest.mark.req("0.13")
def test_mind_tempers_entries_and_says_so() -> None:
    plain, tempered = Market(Bot(LIVELY, BTC)), Market(Bot(of("newbie"), BTC))
    plain.play(bitcoin(1_500))
    tempered.play(bitcoin(1_500))

    stages = {entry.stage for done in tempered.decided for entry in done.made.decision.audit}
    assert "psychology" in stages
    assert len({mind[0] for mind in tempered.minds}) > 1
    assert [done.made.decision for done in plain.decided] != [done.made.decision for done in tempered.decided]


@pytest.mark.parametrize("profile", ["strategic", "newbie", "aggressive"])
def test_mind_after_a_kill_at_any_moment_is_the_same(profile: str, tmp_path: Path) -> None:
    """State as saved after some fill; everything seen since is folded again: the same minds and the same bytes."""
    charter = of(profile)
    whole = Market(Bot(charter, BTC)).play(bitcoin(600))
    fills = [number for number, seen in enumerate(whole.seen) if isinstance(seen, Filled)]

    for killed in (fills[3], fills[4], fills[5], fills[-1]):
        first = Bot(charter, BTC)
        for seen in whole.seen[: killed + 1]:
            first.take(seen)
        saved = first.state.dump()
        second = Bot(charter, BTC, BotState.load(saved, charter.capital))
        for seen in whole.seen[: killed + 1]:  # the window is read from the bus again, and nothing is booked twice
            if isinstance(seen, History | Closed):
                second.take(History(seen.bar))
        for seen in whole.seen[killed + 1 :]:
            second.take(seen)
        assert second.state.dump() == whole.bot.state.dump(), killed
        assert second.state.temper.mind == whole.minds[-1]


def test_mind_session_replays_although_the_profile_on_disk_has_changed(tmp_path: Path) -> None:
    """The charter holds the profile's values: the replay does not look at the files."""
    charter = replace(of("newbie"), psychology="a-name-without-a-file")
    log = Session(tmp_path, "alpha")
    log.begin(charter, BTC, "", code_of(Bot(charter).strategy.signals))
    Market(Bot(charter, BTC), log).play(bitcoin(600))
    log.close()

    outcome = Replay(log.path).run().as_json()

    assert outcome["ok"], outcome["differences"]
    assert outcome["intents"] >= 10


def test_mind_another_profile_begins_with_its_own_and_the_same_one_keeps_it() -> None:
    bot = Bot(of("newbie"), BTC)
    market = Market(bot)
    market.play(bitcoin(300))
    held = bot.state.temper.mind
    assert held != load_profile("newbie").first_mind()  # type: ignore[union-attr]

    bot.take(Changed(replace(of("newbie"), risk=0.005)))
    kept = bot.state.temper.mind
    bot.take(Changed(of("strategic")))
    other = bot.state.temper.mind
    bot.take(Changed(LIVELY))

    assert kept == held
    assert other == load_profile("strategic").first_mind()  # type: ignore[union-attr]
    assert (bot.state.temper.who, bot.stage, bot.state.temper.state()) == ("", None, None)


def test_mind_is_shown_in_the_status() -> None:
    counts = {"decisions": 0, "intents": 0}
    market = Market(Bot(of("newbie"), BTC)).play(bitcoin(300))

    status = bot_status(market.bot, market.bot.last, counts)

    assert market.bot.stage is not None
    assert status.mind is not None
    assert status.emotion == status.mind.emotion == market.bot.stage.emotion.name.lower()
    assert json.loads(market.bot.state.dump())["temper"]["emotion"] == status.emotion
    assert (bot_status(warm(), None, counts).emotion, bot_status(warm(), None, counts).mind) == ("", None)


@pytest.mark.req("0.13")
@pytest.mark.parametrize("preset", ["off", "all"])
@pytest.mark.parametrize("profile", [name for name in profile_names() if name != "newbie_fomo"])
def test_mind_and_sky_live_only_ever_shrink_risk(profile: str, preset: str) -> None:
    """Entry by entry: no bigger, no more leverage, the stop where the strategy put it; under a full moon too."""
    live = replace(
        LIVELY,
        mode=Mode.LIVE,
        profile=load_profile(profile),
        psychology="" if profile == "off" else profile,
        preset=load_preset(preset, live=True),
        factors=("moon_phase",) if preset != "off" else (),
    )
    plain = Bot(replace(LIVELY, mode=Mode.LIVE), BTC)
    tempered = Market(Bot(live, BTC)).play(bitcoin(900))
    entries = 0

    for seen in tempered.seen:
        mine = tempered.decided.pop(0) if isinstance(seen, Closed) else None
        theirs = plain.take(seen)
        if mine is None or not mine.made.decision.side:
            continue
        ours, other = mine.made.decision, theirs.made.decision  # type: ignore[union-attr]
        entries += 1
        assert ours.confidence <= other.confidence
        assert ours.side == other.side
        assert ours.size <= other.size
        assert ours.leverage <= other.leverage
        assert ours.stop == other.stop

    assert entries >= 3


@pytest.mark.req("2.38")
def test_state_saved_before_there_were_minds_is_read() -> None:
    bot = warm()
    old = {key: value for key, value in json.loads(bot.state.dump()).items() if key not in {"trips", "temper"}}

    state = BotState.load(json.dumps(old), CHARTER.capital)

    assert state.dump() == bot.state.dump()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"temper": {"profile": "newbie"}},
        {"temper": {"profile": 5}},
        {"trips": {"base": "much", "since_ns": 0, "ended": []}},
        {"trips": {"base": "1", "since_ns": 0, "ended": [{}]}},
    ],
)
def test_state_unsound_is_refused(spoilt: dict[str, Any]) -> None:
    saved = {**json.loads(warm().state.dump()), **spoilt}

    with pytest.raises(CorruptData, match=r"unsound|names the profile"):
        BotState.load(json.dumps(saved), CHARTER.capital)


def test_mind_decided_on_again_does_not_react_twice() -> None:
    bot = warm(of("strategic", CHARTER))
    bot.take(Filled(at(fill(Side.BUY, "0.1", "960"), 80), "1-0"))
    bot.take(Filled(at(fill(Side.SELL, "0.1", "950"), 80, 9), "2-0"))
    bot.take(History(bar(80, 958.0)))
    once = bot.state.temper.mind

    bot.take(Again(entries=True))

    assert bot.state.temper.mind == once != load_profile("strategic").first_mind()  # type: ignore[union-attr]


def test_profile_for_simulation_alone_is_refused_in_live_mode() -> None:
    from omega.config import Settings

    plan = {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "psychology": "newbie_fomo", "mode": "live"}
    settings = Settings.model_validate({"runner": {"bot": "alpha"}, "bots": {"alpha": plan}})

    with pytest.raises(ConfigError, match=r"bots\.alpha\.psychology: 'newbie_fomo' is for simulation alone"):
        Charter.of(settings)
