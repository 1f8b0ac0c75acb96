"""Cards stay within Discord's limits, whatever they are made of; the local Discord's own check is the judge."""

from decimal import Decimal

import pytest

from omega.testing.discord.limits import check_message
from services.discord_bot.card import COLUMNS, SUM, Card, Confirm, Tone, cut, describe, embed, fit, size
from services.discord_bot.figures import age, money, price, quantity, table

HUGE = Card(
    "t" * 500,
    Tone.DANGER,
    voice="v" * 3000,
    text="x" * 9000,
    table="\n".join(["r" * COLUMNS] * 400),
    fields=tuple((f"n{n}" * 200, "w" * 2000) for n in range(40)),
    footer="f" * 4000,
    author="a" * 400,
)


@pytest.mark.parametrize(
    "card",
    [
        HUGE,
        Card("t", fields=tuple((f"name {n}", "value") for n in range(30))),
        Card("t", table="\n".join(["row"] * 3000)),
        Card("t", text="x" * 4096),
        Card("t", fields=(("empty", ""), ("", "no name"))),
        Card("t"),
    ],
    ids=["everything", "fields", "table", "text", "empty-fields", "bare"],
)
def test_card_of_any_size_is_accepted_by_discord(card: Card):
    made = embed(card)

    check_message({"embeds": [made.to_dict()]})
    assert size(fit(card)) <= SUM


def test_card_that_is_cut_tells_what_is_hidden():
    fitted = fit(Card("t", fields=tuple((f"name {n}", "value") for n in range(30))))

    assert len(fitted.fields) == 25
    assert fitted.fields[-1] == ("More", "6 more entries are not shown")


def test_table_is_cut_by_whole_rows():
    fitted = fit(Card("t", table="\n".join(f"row {n:04d}" for n in range(1000))))

    assert all(len(row) == 8 for row in fitted.table.split("\n"))


def test_small_card_is_left_alone():
    card = Card("t", voice="hello", text="x", table="a b", fields=(("n", "v"),), confirm=Confirm("panic", {}))

    assert fit(card) == card
    assert describe(card) == "*hello*\nx\n```\na b\n```"


@pytest.mark.parametrize(("text", "limit", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…")])
def test_cut_shows_that_there_was_more(text: str, limit: int, short: str):
    assert cut(text, limit) == short


def test_table_fits_a_phone_and_keeps_the_numbers():
    text = table(["bot", "state", "PnL"], [["a-very-long-name-of-a-bot-that-goes-on-and-on", "trade", "+1,234.50"]])

    assert all(len(line) <= COLUMNS for line in text.split("\n"))
    assert text.endswith("+1,234.50")
    assert table(["a"], []) == ""


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (money(Decimal("-1234.5")), "-1,234.50 USDT"),
        (price(Decimal("100.500")), "100.5"),
        (price(Decimal(100)), "100"),
        (price(0), "-"),
        (quantity(Decimal("-0.0010")), "-0.001"),
        (quantity(Decimal(0)), "flat"),
        (age(5), "5 s"),
        (age(125), "2 min"),
        (age(7300), "2 h"),
        (age(200_000), "2 d"),
        (age(-3), "0 s"),
    ],
)
def test_figures_are_written_for_people(shown: str, expected: str):
    assert shown == expected
