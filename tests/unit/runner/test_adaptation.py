"""A trader that follows the market's regime, in the fold: every move is on record; calm and stir change the mind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.backtest.influences import load_influences
from omega.backtest.presets import load_trader
from omega.engine.bars import Bars
from omega.engine.regime import REGIME_BARS, Regime, regimes
from omega.telemetry import Metrics
from services.runner.bot import Bot
from services.runner.charter import Charter
from services.runner.replay import Replay
from services.runner.seen import Again, Calmed, Changed, Stirred
from services.runner.session import Session, code_of
from services.runner.state import BotState
from services.runner.status import mind_status, set_gauges

from .test_bot import BTC
from .test_mind import LIVELY, Market, bitcoin

ROWS = 1_200
WINDOW = 600


def charter(name: str = "strategic") -> Charter:
    profile, adapts = load_trader(name)
    return replace(LIVELY, window=WINDOW, psychology=name, profile=profile, adapts=adapts)


def columns(rows: int) -> Bars:
    made = [(b.ts_ns, b.open, b.high, b.low, b.close, b.volume) for b in bitcoin(rows)]
    return Bars.of(*zip(*made, strict=True))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Market, Path]:
    folder = tmp_path_factory.mktemp("adapting")
    log = Session(folder, "alpha")
    bot = Bot(charter(), BTC)
    log.begin(bot.charter, BTC, "", code_of(bot.strategy.signals))
    market = Market(bot, log).play(bitcoin(ROWS), warmup=WINDOW)
    log.close()
    return market, log.path


def moves_of(market: Market) -> list[tuple[int, Any]]:
    made = [done.made.decision for done in market.decided]
    return [
        (decision.bar_ts_ns, entry) for decision in made for entry in decision.audit if entry.why.startswith("adapts")
    ]


@pytest.mark.req("0.15")
def test_moves_of_the_runner_are_those_of_history(played: tuple[Market, Path]) -> None:
    """Row by row: the same trait, the same figures, the same reason; and traits are those of the row's regime."""
    market, _ = played
    bars = columns(ROWS)
    profile, adapts = load_trader("strategic")
    given = load_influences(profile or "off", "off", bars.ts, adapts=adapts)
    first = market.decided[0].made.decision.bar_ts_ns

    of_history = [move for move in given.moves(bars) if move[0] > first]
    of_runner = moves_of(market)

    assert len(of_history) >= 20
    assert [move for move in of_runner if move[0] > first] == of_history
    assert market.bot.regime == regimes(bars)[-1]
    assert market.bot.stage is not None
    assert market.bot.stage.traits == given.traits[market.bot.regime]


def test_session_of_an_adapting_trader_replays_to_the_last_byte(played: tuple[Market, Path]) -> None:
    """The charter holds the rules by their values, and the regime follows from the bars."""
    outcome = Replay(played[1]).run().as_json()

    assert outcome["ok"], outcome["differences"]
    assert outcome["decisions"] == ROWS - WINDOW


def test_bar_decided_on_again_records_its_move_once(played: tuple[Market, Path]) -> None:
    """A process that decides on the same bar twice moves nothing twice."""
    market, _ = played

    again = market.bot.take(Again(entries=False))

    assert again.made is not None
    assert not [entry for entry in again.made.decision.audit if entry.why.startswith("adapts")]


def test_new_process_moves_from_the_profiles_own_values(played: tuple[Market, Path]) -> None:
    """What a dead process had moved is not carried over: the first decision says what holds now, and from where."""
    market, _ = played
    bot = Bot(charter(), BTC, BotState.load(market.bot.state.dump(), LIVELY.capital))
    cut = int(np.flatnonzero(regimes(columns(ROWS)) == Regime.VOLATILE)[-1])
    fresh = Market(bot).play(bitcoin(cut + 1), warmup=cut)

    moves = moves_of(fresh)

    profile = bot.charter.profile
    assert moves
    assert all(entry.before == getattr(profile, entry.field) for _, entry in moves)


def test_other_trader_in_the_same_market_moves_from_its_own_values() -> None:
    """One adapting trader follows another in a storm: the next decision records what the new one's traits do."""
    cut = int(np.flatnonzero(regimes(columns(ROWS)) == Regime.VOLATILE)[-1])
    bot = Bot(charter(), BTC)
    Market(bot).play(bitcoin(cut + 1), warmup=cut)

    bot.take(Changed(charter("scalper")))
    made = bot.take(Again(entries=False)).made
    bot.take(Changed(replace(charter("scalper"), risk=0.005)))
    later = bot.take(Again(entries=False)).made

    profile = bot.charter.profile
    assert made is not None
    assert later is not None
    moves = [entry for entry in made.decision.audit if entry.why.startswith("adapts")]
    assert {entry.field for entry in moves} == {"discipline", "stress"}
    assert all(entry.before == getattr(profile, entry.field) for entry in moves)
    assert not [entry for entry in later.decision.audit if entry.why.startswith("adapts")]


def test_other_trader_begins_with_its_own_traits(played: tuple[Market, Path]) -> None:
    """Switching psychology off and on again between two bars leaves no trait of the one before behind."""
    market, _ = played
    bot = Bot(charter(), BTC, BotState.load(market.bot.state.dump(), LIVELY.capital))
    Market(bot).play(bitcoin(REGIME_BARS + 200), warmup=WINDOW)

    bot.take(Changed(replace(LIVELY, window=WINDOW)))
    assert bot.stage is None
    bot.take(Changed(charter("scalper")))

    assert bot.stage is not None
    assert bot.stage.traits == bot.charter.traits[bot.regime]
    assert bot.state.temper.mind == bot.state.temper.first_mind


@pytest.mark.req("0.15")
def test_calm_begins_anew_and_stir_follows_the_table(played: tuple[Market, Path]) -> None:
    """Both change the mind alone, and the very next decision goes by it; the saved state holds it."""
    market, _ = played
    bot = Bot(charter("newbie"), BTC, BotState.load(market.bot.state.dump(), LIVELY.capital))
    first = bot.state.temper.mind

    bot.take(Stirred("black_swan_event"))

    shaken = bot.state.temper.mind
    assert bot.stage is not None
    assert bot.stage.mind == shaken != first
    assert shaken[3] > first[3]
    assert BotState.load(bot.state.dump(), LIVELY.capital).temper.mind == shaken
    bot.take(Calmed())
    assert bot.stage.mind == bot.state.temper.mind == first


def test_calm_and_stir_without_a_mind_change_nothing() -> None:
    """Psychology off: the fold stays what it was, to the byte of its state."""
    bot = Bot(LIVELY, BTC)
    before = bot.state.dump()

    bot.take(Stirred("crypto_hack"))
    bot.take(Calmed())

    assert bot.state.dump() == before


@pytest.mark.req("0.15")
def test_mind_is_shown_in_status_and_gauges(played: tuple[Market, Path]) -> None:
    """One emotion at a time; switched off, every gauge of the mind is gone."""
    market, _ = played
    bot = Bot(charter(), BTC, BotState.load(market.bot.state.dump(), LIVELY.capital))
    metrics = Metrics()

    set_gauges(metrics, bot, None)
    bot.take(Stirred("black_swan_event"))
    bot.take(Stirred("black_swan_event"))
    set_gauges(metrics, bot, None)

    status = mind_status(bot)
    assert status is not None
    assert (status.profile, status.regime, status.emotion) == ("strategic", "mixed", bot.stage.emotion.name.lower())  # type: ignore[union-attr]
    shown = {name: value for name, value in metrics.samples().items() if "emotion" in name or "bot_mind" in name}
    assert shown == {
        f'omega_bot_emotion{{bot="alpha",emotion="{status.emotion}"}}': 1.0,
        'omega_bot_mind{bot="alpha",metric="confidence"}': status.confidence,
        'omega_bot_mind{bot="alpha",metric="risk"}': status.risk,
        'omega_bot_mind{bot="alpha",metric="stress"}': status.stress,
        'omega_bot_mind_size{bot="alpha"}': status.sizes,
    }
    bot.take(Changed(replace(LIVELY, window=WINDOW)))
    set_gauges(metrics, bot, None)
    assert not [name for name in metrics.samples() if "emotion" in name or "bot_mind" in name]
