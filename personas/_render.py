"""Says the same facts in a persona's voice: one chosen sentence on top, the facts below word for word.

Pure; called by every face.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Final

from omega.errors import ConfigError
from omega.plugins import PersonaEntry

EVENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "trade.entered": ("bot", "symbol", "side", "size", "price"),
        "trade.won": ("bot", "symbol", "size", "price", "pnl"),
        "trade.lost": ("bot", "symbol", "size", "price", "pnl"),
        "risk.halted": ("account", "reason"),
        "risk.released": ("account", "by"),
        "notices.missed": ("notices",),
        "report.status": ("bots", "trading", "pnl"),
        "report.positions": ("positions", "naked"),
        "report.cosmic": ("factors",),
        "report.analysis": ("analysis", "symbol", "findings"),
    }
)
"""Every event that is voiced, with the facts a line for it may name."""


def render(event: str, facts: Mapping[str, str], persona: PersonaEntry, seed: int) -> str:
    """Return the persona's sentence and below it every fact, the same in all voices.

    Args:
        event: one of `EVENTS`.
        facts: finished texts by name, in the order in which they are shown; numbers are formatted already.
        persona: whose words the sentence is made of.
        seed: chooses among the persona's lines; the same seed says the same.

    Raises:
        ConfigError: the event is unknown, or a line names a fact that is not there.
    """
    return "\n".join((voice(event, facts, persona, seed), *(f"{label(name)}: {facts[name]}" for name in facts)))


def voice(event: str, facts: Mapping[str, str], persona: PersonaEntry, seed: int) -> str:
    """Return the sentence alone, for faces that lay the facts out by themselves."""
    lines = lines_of(event, persona)
    chosen = lines[(seed + zlib.crc32(event.encode())) % len(lines)]
    try:
        return chosen.format_map(facts)
    except (KeyError, IndexError) as error:
        raise ConfigError(
            f"persona {persona.name}: the line {chosen!r} for {event} needs the fact {error}; "
            f"it may name {', '.join(facts)}"
        ) from None


def lines_of(event: str, persona: PersonaEntry) -> tuple[str, ...]:
    """Return the lines that a persona has for an event.

    Raises:
        ConfigError: the event is unknown, or the persona is silent about it.
    """
    if event not in EVENTS:
        raise ConfigError(f"there is no event {event!r} to voice; there are {', '.join(EVENTS)}")
    lines = persona.lines.get(event)
    if not lines:
        raise ConfigError(f"persona {persona.name} has no line for {event}; add one in personas/{persona.name}.py")
    return (lines,) if isinstance(lines, str) else tuple(lines)


def slots(line: str) -> frozenset[str]:
    """Return the facts that a line names."""
    return frozenset(name for _, name, _, _ in Formatter().parse(line) if name is not None)


def label(name: str) -> str:
    """Return the words that stand before a fact."""
    return name.replace("_", " ").capitalize()
