"""The same facts in every voice: word for word as in the golden file, numbers equal in all of them."""

import re
from pathlib import Path

import pytest

from omega.errors import ConfigError
from omega.plugins import PersonaEntry, personas
from personas import EVENTS, lines_of, render, slots, voice

GOLDEN = Path(__file__).with_name("voices.txt")
FACTS = {
    "trade.entered": {"bot": "fib-btc", "symbol": "BTC-USDT.P", "side": "long", "size": "0.5", "price": "64,123.5"},
    "trade.won": {"bot": "fib-btc", "symbol": "BTC-USDT.P", "size": "0.5", "price": "65,000", "pnl": "+437.15 USDT"},
    "trade.lost": {"bot": "trend-eth", "symbol": "ETH-USDT.P", "size": "2", "price": "3,101.2", "pnl": "-21.07 USDT"},
    "risk.halted": {"account": "bitget/main", "reason": "daily loss 5.1 %"},
    "risk.released": {"account": "bitget/main", "by": "ann"},
    "notices.missed": {"notices": "17"},
    "report.status": {"bots": "4", "trading": "3", "pnl": "+12.50 USDT"},
    "report.positions": {"positions": "2", "naked": "0"},
    "report.cosmic": {"factors": "2"},
    "report.analysis": {"analysis": "fib", "symbol": "BTC-USDT.P", "findings": "7"},
}
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?")
URGING = re.compile(
    r"\b(buy|sell|now|hurry|must|guarantee\w*|sure|certain\w*|opportunity|don't miss|go all in|will (?:rise|fall))\b",
    re.IGNORECASE,
)
personas.discover()
VOICES = [personas.get(name) for name in personas.names()]


def transcript() -> str:
    parts = []
    for event, facts in FACTS.items():
        parts += [
            f"## {event} / {one.name} / {seed}\n{render(event, facts, one, seed)}\n"
            for one in VOICES
            for seed in (0, 1)
        ]
    return "\n".join(parts)


@pytest.mark.req("1.30", "1.32", "1.86")
def test_voices_read_as_in_the_golden_file():
    assert transcript() == GOLDEN.read_text(encoding="utf-8"), "if this is meant, write transcript() into voices.txt"


@pytest.mark.req("1.08")
@pytest.mark.parametrize("event", EVENTS)
def test_numbers_are_equal_in_all_voices(event: str):
    facts = FACTS[event]
    below = [render(event, facts, one, seed).split("\n", 1)[1] for one in VOICES for seed in range(5)]
    known = set(NUMBER.findall(" ".join(facts.values())))

    assert len(set(below)) == 1
    for one in VOICES:
        for seed in range(5):
            assert set(NUMBER.findall(voice(event, facts, one, seed))) <= known


@pytest.mark.parametrize("persona", VOICES, ids=lambda one: one.name)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_lines_that_name_known_facts(event: str, persona: PersonaEntry):
    for line in lines_of(event, persona):
        assert slots(line) <= set(EVENTS[event])
        assert len(line) < 200


@pytest.mark.req("1.32")
def test_biel_never_urges_a_trade():
    lines = [line for event in EVENTS for line in lines_of(event, personas.get("biel"))]

    assert [line for line in lines if URGING.search(line.replace("/bots list", ""))] == []


def test_same_seed_says_the_same_and_seeds_vary():
    said = {seed: voice("trade.entered", FACTS["trade.entered"], personas.get("xyko"), seed) for seed in range(20)}

    assert said == {
        seed: voice("trade.entered", FACTS["trade.entered"], personas.get("xyko"), seed) for seed in range(20)
    }
    assert len(set(said.values())) == 2


@pytest.mark.parametrize(("event", "facts"), [("nothing", {}), ("trade.won", {"bot": "x"})])
def test_unknown_event_or_missing_fact_is_refused(event: str, facts: dict[str, str]):
    with pytest.raises(ConfigError):
        render(event, facts, personas.get("xyko"), 0)


def test_silent_persona_is_refused_with_the_file_to_edit():
    mute = PersonaEntry("mute", "", {}, {})
    with pytest.raises(ConfigError, match=r"personas/mute\.py"):
        lines_of("trade.won", mute)
