"""The view folds repeats once, keeps the newest, and is corrected by the gateway's books."""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import (
    AccountStatus,
    BookLine,
    CommandResult,
    Envelope,
    HaltChanged,
    Quote,
    StopEvent,
    StopState,
)
from omega.domain import Fill, Mode, Role, Side
from services.discord_bot.view import FarmView, Seen

D = Decimal
NOW = 1_000_000_000_000


def envelope(data: Any, ts_ns: int = NOW) -> Envelope:
    return Envelope("id", "t", 1, ts_ns, "s", 0, 1, "c", "", "k", 0, "", data)


def fill(trade: str, side: Side, price: str) -> Fill:
    return Fill(
        trade,
        "o",
        "c",
        "fib-btc",
        "bitget",
        "main",
        "BTC-USDT.P",
        side,
        D(price),
        D(1),
        D("0.5"),
        "USDT",
        Role.ENTRY,
        NOW,
    )  # type: ignore[arg-type]


def account(size: str, ts_ns: int) -> AccountStatus:
    line = BookLine("fib-btc", "BTC-USDT.P", D(size), D(90), D(95), D(0), D(0), D(0), D(size), D(80), 0.0)
    return AccountStatus("bitget", "main", Mode.PAPER, D(1), D(1), (line,), {}, {}, 0, 0.0, False, "", True, ts_ns)


@pytest.fixture(name="view")
def view_fixture() -> FarmView:
    return FarmView(lambda: NOW + 2_000_000_000)


def test_fill_is_folded_once_however_often_it_comes(view: FarmView):
    entry, exit_ = fill("1", Side.BUY, "100"), fill("2", Side.SELL, "110")
    for message in (entry, entry, exit_, exit_, entry):
        view.learn(envelope(message))

    assert view.outcome(exit_).gained == D("9.5")
    assert view.outcome(entry).gained == D("-0.5")
    assert view.books["fib-btc", "BTC-USDT.P"].size == 0


def test_older_status_does_not_overwrite_a_newer_one(view: FarmView):
    view.learn(envelope(account("2", 1), NOW))
    view.learn(envelope(account("1", 1), NOW - 1))

    assert view.accounts["bitget/main"].value.books[0].size == 2
    assert view.accounts["bitget/main"].age_s(view.clock()) == 2.0


def test_gateway_book_overrules_ours_when_no_fill_is_on_its_way(view: FarmView):
    view.learn(envelope(fill("1", Side.BUY, "100")))
    view.learn(envelope(account("3", 1), NOW + 1))
    assert view.books["fib-btc", "BTC-USDT.P"].size == 1

    view.learn(envelope(account("3", 1), NOW + 10_000_000_000))
    assert view.books["fib-btc", "BTC-USDT.P"].size == 3
    assert view.lines()[0][1].entry == 90


def test_other_messages_are_kept_or_ignored(view: FarmView):
    stop = StopEvent("fib-btc", "bitget", "main", "BTC-USDT.P", D(1), D(90), StopState.PLACED, "c", "o", NOW)
    view.learn(envelope(stop))
    view.learn(envelope(HaltChanged("bitget", "main", True, "why", "risk", NOW)))
    view.learn(envelope(CommandResult("1", "runner", "fib-btc", "accepted", "")))
    view.learn(envelope(CommandResult("1", "runner", "fib-btc", "applied", "")))
    view.learn(envelope(Quote("bitget", "BTC-USDT.P", 1.0, 1.0, 1.0, 1.0, NOW)))

    assert view.stops["fib-btc", "BTC-USDT.P"].value.trigger == 90
    assert view.halts["bitget/main"].value.halted
    assert view.results("1")["fib-btc"].stage == "applied"
    assert view.results("2") == {}
    assert view.age_s() == 2.0


def test_empty_view_has_no_age():
    assert FarmView(time.time_ns).age_s() == float("inf")
    assert Seen(1, NOW).age_s(NOW - 5) == 0.0


def test_memory_of_trades_and_commands_is_bounded(view: FarmView):
    base = fill("0", Side.BUY, "100")
    for number in range(2_100):
        view.learn(envelope(replace(base, trade_id=str(number))))
        view.learn(envelope(CommandResult(str(number), "runner", "fib-btc", "applied", "")))

    assert len(view._outcomes) == len(view._results) == 2_000


async def test_wait_wakes_on_news_and_gives_up_in_time(view: FarmView):
    assert not await view.wait(lambda: False, 0.01)
    assert await view.wait(lambda: True, 0.01)


def test_gateways_word_on_a_bots_order_is_no_answer_of_the_bot(view: FarmView):
    """The gateway says that its gate holds; the order is done when the bot says so."""
    view.learn(envelope(CommandResult("1", "runner-a", "fib-btc", "applied", "")))
    view.learn(envelope(CommandResult("1", "gateway", "fib-btc", "accepted", "the gate refuses its entries")))
    view.learn(envelope(CommandResult("2", "gateway", "farm", "confirmed", "")))

    assert {name: result.stage for name, result in view.results("1").items()} == {
        "fib-btc": "applied",
        "gateway": "accepted",
    }
    assert list(view.results("2")) == ["farm"]
