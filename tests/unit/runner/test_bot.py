"""The bot as a fold: no bus, no clock; the same things seen give the same, and holding time counts each bar once."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from dataclasses import replace
from decimal import Decimal

import pytest

from omega.bus import FundingPaid
from omega.domain import (
    AccountName,
    Bar,
    BotName,
    ClientId,
    Fill,
    Instrument,
    Kind,
    Mode,
    OrderId,
    Role,
    Side,
    Symbol,
    TradeId,
    VenueName,
)
from omega.errors import ConfigError, CorruptData, InvariantBroken
from omega.telemetry import Metrics
from services.runner.bot import Bot
from services.runner.charter import Charter
from services.runner.seen import Again, Changed, Closed, Filled, Flattened, Funded, History, Passed, Seen, Told
from services.runner.state import BotState, Order
from services.runner.status import set_gauges

MINUTE = 60_000_000_000
BTC = Instrument(
    symbol=Symbol("BTC-USDT.P"),
    venue=VenueName("bitget"),
    venue_symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.1"),
    size_step=Decimal("0.0001"),
    min_size=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=125,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)
CHARTER = Charter(
    bot="alpha",
    strategy="ema_cross",
    params={"fast": 2, "slow": 3},
    mode=Mode.PAPER,
    venue="bitget",
    account="main",
    symbol="BTC-USDT.P",
    timeframe="1m",
    capital=Decimal(1_000),
    window=200,
    risk=0.01,
    max_leverage=3,
    max_notional=10_000.0,
)
_NUMBERS = itertools.count(1)
FALL = [1_000.0 - 0.5 * row for row in range(80)]


def bar(row: int, close: float) -> Bar:
    return Bar((row + 1) * MINUTE, close, close + 1.0, close - 1.0, close, 10.0)


def fill(side: Side, size: str, price: str, symbol: str = "BTC-USDT.P") -> Fill:
    return Fill(
        trade_id=TradeId(f"t{next(_NUMBERS)}"),
        order_id=OrderId("o"),
        client_id=ClientId("c"),
        bot=BotName("alpha"),
        venue=VenueName("bitget"),
        account=AccountName("main"),
        symbol=Symbol(symbol),
        side=side,
        price=Decimal(price),
        size=Decimal(size),
        fee=Decimal("0.1"),
        fee_coin="USDT",
        role=Role.ENTRY,
        ts_ns=MINUTE,
    )


def warm(charter: Charter = CHARTER) -> Bot:
    bot = Bot(charter, BTC)
    for row, close in enumerate(FALL):
        bot.take(History(bar(row, close)))
    return bot


STORY: list[Seen] = [
    Closed(bar(80, 1_010.0), entries=True),
    Filled(fill(Side.BUY, "0.1", "1010"), "1-0"),
    Funded(FundingPaid("alpha", "bitget", "main", "BTC-USDT.P", Decimal("-0.5"), "f", 1), "2-0"),
    Closed(bar(81, 1_015.0), entries=True),
    Passed("3-0"),
    Closed(bar(82, 900.0), entries=False),
    Told(Order.PAUSE),
    Flattened("now", "alice"),
]


def test_bot_same_story_twice_does_the_same_to_the_last_byte() -> None:
    one, other = warm(), warm()

    assert [one.take(seen) for seen in STORY] == [other.take(seen) for seen in STORY]
    assert one.state.dump() == other.state.dump()
    assert one.state.read == "3-0"


def test_bot_entry_allowed_is_sent_and_not_allowed_is_only_decided() -> None:
    allowed = warm().take(Closed(bar(80, 1_010.0), entries=True))
    held_back = warm().take(Closed(bar(80, 1_010.0), entries=False))

    assert len(allowed.intents) == 1
    assert allowed.made is not None
    assert held_back.made is not None
    assert allowed.made.decision == held_back.made.decision
    assert (held_back.intents, held_back.made.intents) == ((), ())


def test_bot_bar_of_the_history_decided_on_again_is_held_once() -> None:
    """The bar that a dead process has not decided on counts once towards the holding time."""
    bot = warm()
    bot.take(Filled(fill(Side.BUY, "0.1", "960"), "1-0"))
    bot.take(History(bar(80, 958.0)))
    held = bot.state.portfolio.bars_held

    bot.take(Again(entries=True))

    assert (held, bot.state.portfolio.bars_held) == (1, 1)


def test_bot_events_of_another_symbol_move_no_book() -> None:
    bot = warm()

    bot.take(Filled(fill(Side.BUY, "0.1", "960", "ETH-USDT.P"), "1-0"))
    bot.take(Funded(FundingPaid("alpha", "bitget", "main", "ETH-USDT.P", Decimal(1), "f", 1), "2-0"))

    assert (bot.position, bot.state.portfolio.position.funding) == (Decimal(0), Decimal(0))
    assert bot.state.read == "2-0"


@pytest.mark.parametrize("row", [79, 78])
def test_bot_bar_no_newer_than_the_window_is_refused_and_changes_nothing(row: int) -> None:
    bot = warm()
    before = bot.state.dump()

    with pytest.raises(CorruptData, match="no newer"):
        bot.check(bar(row, 950.0))
    with pytest.raises(CorruptData):
        bot.take(Closed(bar(row, 950.0), entries=True))

    assert (bot.state.dump(), len(bot.window)) == (before, len(FALL))


def test_bot_without_a_bar_decides_nothing() -> None:
    with pytest.raises(InvariantBroken, match="before it saw a bar"):
        Bot(CHARTER, BTC).take(Again(entries=True))


def test_bot_changed_charter_applies_from_the_next_bar_on() -> None:
    bot = warm()
    bot.take(Changed(replace(CHARTER, risk=0.005)))

    (intent,) = bot.take(Closed(bar(80, 1_010.0), entries=True)).intents
    (before,) = warm().take(Closed(bar(80, 1_010.0), entries=True)).intents

    assert intent.size == BTC.size(before.size / 2)


def test_bot_flatten_closes_the_whole_position_once_and_pauses() -> None:
    bot = warm()
    bot.take(Filled(fill(Side.SELL, "0.3", "960"), "1-0"))

    (intent,) = bot.take(Flattened("now", "alice")).intents
    again = bot.take(Flattened("now", "alice")).intents[0]

    assert (intent.side, intent.size, intent.reason) == (Side.BUY, Decimal("0.3"), "flatten by alice")
    assert again.intent_id == intent.intent_id
    assert bot.state.order is Order.PAUSE


def test_bot_window_shorter_than_the_warm_up_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs 60 bars of warm-up"):
        Bot(replace(CHARTER, window=60), BTC)


def test_bot_fill_and_payment_that_come_again_are_booked_once_also_after_a_restart() -> None:
    """A bus that was emptied knows no duplicates: the gateway's repeats come through, under other entry ids."""
    once = fill(Side.BUY, "0.1", "1000")
    paid = FundingPaid("alpha", "bitget", "main", "BTC-USDT.P", Decimal(-1), "f1", 1)
    bot = Bot(CHARTER, BTC)
    bot.take(Filled(once, "1-0"))
    bot.take(Funded(paid, "2-0"))
    before = bot.state.portfolio.state()

    bot.take(Filled(once, "9-0"))
    bot.take(Funded(paid, "9-1"))
    again = Bot(CHARTER, BTC, BotState.load(bot.state.dump(), CHARTER.capital))
    again.take(Filled(once, "9-2"))

    assert bot.position == again.position == Decimal("0.1")
    assert bot.state.portfolio.state() == again.state.portfolio.state() == before
    assert (bot.state.fills, bot.state.read, again.state.read) == (1, "9-1", "9-2")


@pytest.mark.req("0.40")
def test_gauges_tell_profit_exposure_costs_and_the_share_of_trips_that_won() -> None:
    metrics, bot = Metrics(), warm()
    set_gauges(metrics, bot, None)
    assert not [name for name in metrics.samples() if name.startswith("omega_bot_win_rate")]
    for number, (side, price) in enumerate(
        ((Side.BUY, "100"), (Side.SELL, "110"), (Side.BUY, "100"), (Side.SELL, "90"))
    ):
        bot.take(Filled(replace(fill(side, "1", price), trade_id=TradeId(f"trip{number}")), f"{number + 1}-0"))
    bot.take(Filled(replace(fill(Side.SELL, "2", "100"), trade_id=TradeId("open")), "9-0"))
    set_gauges(metrics, bot, None)

    book, read = bot.state.portfolio.position, metrics.samples()
    assert (book.trades, book.wins, book.size) == (2, 1, Decimal(-2))
    assert read['omega_bot_win_rate{bot="alpha"}'] == 0.5
    assert read['omega_bot_exposure{bot="alpha"}'] == 200
    assert read['omega_bot_fees{bot="alpha"}'] == pytest.approx(float(book.fees))
    assert read['omega_bot_funding{bot="alpha"}'] == pytest.approx(float(book.funding))
    assert read['omega_bot_pnl{bot="alpha"}'] == pytest.approx(float(book.net))
    assert read['omega_bot_drawdown{bot="alpha"}'] == bot.state.portfolio.drawdown
    assert read['omega_bot_bar_seconds{bot="alpha"}'] == 60


@pytest.mark.req("4.55")
def test_bot_that_decides_for_long_holds_no_more_memory_than_before() -> None:
    """Every bar is folded and forgotten but for the window: what is allocated after 2,000 is what was after 1,000."""
    bot, held = warm(), []
    tracemalloc.start()
    try:
        for row in range(1_000, 3_001):
            bot.take(Closed(bar(row, 1_000.0 + row % 17), entries=True))
            if row % 1_000 == 0:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert held[2] - held[1] < 20_000, held
