"""Free text of others cannot ping, link, format or hide."""

import pytest

from services.discord_bot.safe import plain, safe, safe_code


@pytest.mark.req("2.124")
@pytest.mark.parametrize(
    "attack",
    [
        "@everyone",
        "<@300000000000000001>",
        "<@&200000000000000001>",
        "<#400000000000000001>",
        "</panic:1>",
        "<t:1:R>",
        "<:emoji:1>",
        "https://evil.example",
        "<https://evil.example>",
        "\\<@300000000000000001>",
    ],
)
def test_active_text_is_made_passive(attack: str):
    shown = safe(attack)

    assert attack != shown
    assert "://" not in shown
    assert shown.count("<") == sum(
        1 for n, letter in enumerate(shown) if letter == "<" and (len(shown[:n]) - len(shown[:n].rstrip("\\"))) % 2 == 1
    )


def test_mass_mention_is_broken_by_a_zero_width_space():
    assert safe("@here") == "@\u200bhere"


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x07", "\u2066", "\ufeff", "\u00ad"])
def test_invisible_characters_are_dropped(hidden: str):
    assert safe(f"a{hidden}b") == safe_code(f"a{hidden}b") == plain(f"a{hidden}b") == "ab"


def test_markdown_lists_and_masked_links_are_escaped():
    assert safe("**bold** [x](y)") == "\\*\\*bold\\*\\* \\[x](y)"
    assert safe("1. first") == "1\u200b. first"
    assert safe_code("a ``` b") == "a ''' b"


def test_text_is_cut_and_width_normalised():
    assert safe("\uff21" * 300, 10) == "A" * 9 + "…"
