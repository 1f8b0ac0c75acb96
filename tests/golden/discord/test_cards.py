"""Notices as embeds, byte for byte, in two voices: the sentence differs, the facts do not."""

import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import Envelope, HaltChanged, MemoryBus, StopEvent, StopState
from omega.config import Settings
from omega.domain import Fill, Role, Side
from omega.telemetry import Metrics

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # discord.py imports audioop
    from services.discord_bot.card import embed
    from services.discord_bot.desk import Desk
    from services.discord_bot.notices import Notices
    from services.discord_bot.view import FarmView

GOLDEN = Path(__file__).with_name("cards.json")
D = Decimal
TS = 1_750_000_000_000_000_000


def fill(trade: str, side: Side, price: str, role: Role) -> Fill:
    values: dict[str, Any] = {
        "trade_id": trade, "order_id": f"o{trade}", "client_id": f"c{trade}", "bot": "fib-btc", "venue": "bitget",
        "account": "main", "symbol": "BTC-USDT.P", "side": side, "price": D(price), "size": D("0.5"), "fee": D("19.2"),
        "fee_coin": "USDT", "role": role, "ts_ns": TS,
    }  # fmt: skip
    return Fill(**values)


STORY: list[Any] = [
    StopEvent("fib-btc", "bitget", "main", "BTC-USDT.P", D("0.5"), D("63000.5"), StopState.PLACED, "c", "o", TS),  # type: ignore[arg-type]
    fill("1", Side.BUY, "64123.5", Role.ENTRY),
    fill("2", Side.SELL, "65200", Role.TARGET),
    StopEvent("fib-btc", "bitget", "main", "BTC-USDT.P", D("0.5"), D("63000.5"), StopState.REMOVED, "c", "o", TS),  # type: ignore[arg-type]
    fill("3", Side.SELL, "65100", Role.ENTRY),
    fill("4", Side.BUY, "66000", Role.STOP),
    HaltChanged("bitget", "main", halted=True, reason="daily loss 5.1 % <@300000000000000001>", by="risk", ts_ns=TS),
    HaltChanged("bitget", "main", halted=False, reason="checked", by="ann", ts_ns=TS),
]


async def _never(channel: str, card: object, key: str) -> None:
    raise AssertionError(f"nothing is posted here: {channel} {card} {key}")


def cards(persona: str) -> list[dict[str, Any]]:
    """Return the embeds of the whole story in one voice."""
    discord = {"persona": persona, "channels": {"trades": "1", "alerts": "2"}}
    bots = {"fib-btc": {"strategy": "s", "symbol": "BTC-USDT.P", "persona": persona}}
    settings = Settings.model_validate({"discord_bot": discord, "bots": bots})
    desk = Desk(FarmView(lambda: TS), lambda: settings, MemoryBus())
    notices = Notices(desk, _never, Metrics())
    shown = []
    for number, message in enumerate(STORY):
        envelope = Envelope(f"id-{number}", "t", 1, TS, "s", 1, number, "corr-7", "", "k", 0, "", message)
        desk.view.learn(envelope)
        if made := notices._card([envelope]):
            shown.append(dict(embed(made[1]).to_dict()))
    return shown


@pytest.mark.req("1.86", "0.55")
def test_notices_are_as_in_the_golden_file():
    assert {name: cards(name) for name in ("biel", "xyko")} == json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.req("1.44")
def test_facts_are_the_same_in_both_voices():
    biel, xyko = cards("biel"), cards("xyko")

    assert len(biel) == len(xyko) == 6
    for one, other in zip(biel, xyko, strict=True):
        assert one["description"] != other["description"]
        assert {**one, "description": ""} == {**other, "description": ""}
