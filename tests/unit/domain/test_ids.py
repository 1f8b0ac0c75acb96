"""Identifiers: the same decision has the same name for ever."""

import re

from omega.domain import bot_tag, client_id, intent_id


def test_client_id_same_intent_same_id() -> None:
    """Sending the same intent again is a no-op at the venue."""
    first = client_id(intent_id("fib-btc", 1_746_403_200_000_000_000, 0))

    assert first == client_id(intent_id("fib-btc", 1_746_403_200_000_000_000, 0))
    assert first != client_id(intent_id("fib-btc", 1_746_403_200_000_000_000, 1))


def test_client_id_any_intent_fits_every_venue() -> None:
    """28 lower-case alphanumerics: the shortest venue limit is 32."""
    for bot in ("a", "trend-eth", "x" * 38):
        made = client_id(intent_id(bot, 1, 2))

        assert re.fullmatch(r"o[a-z2-7]{27}", made)
        assert made[1:4] == bot_tag(bot)


def test_client_id_prefix_tells_what_it_is() -> None:
    assert client_id("fib-btc:BTC-USDT.P:3", prefix="s").startswith("s")
