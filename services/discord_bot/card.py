"""What the bot shows.

A card as plain data, cut to Discord's limits by ourselves, for discord.py checks almost none of them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import discord

TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER, AUTHOR, SUM = 256, 4096, 25, 256, 1024, 2048, 256, 6000
COLUMNS: Final = 44
"""Widest table that a phone shows without wrapping."""


class Tone(IntEnum):
    """Colours that mean a state; a word or sign always says the same."""

    OK = 0x2ECC71
    WARN = 0xF1C40F
    DANGER = 0xE74C3C
    STOPPED = 0x95A5A6
    COSMIC = 0x9B59B6


@dataclass(frozen=True, slots=True)
class Confirm:
    """A question that must be answered by a button before `action` happens.

    Attributes:
        action: the command whose `confirmed` handler is run.
        args: what it is run with, resolved before the question was asked.
        label: what the red button says.
    """

    action: str
    args: dict[str, str]
    label: str = "Confirm"


@dataclass(frozen=True, slots=True)
class Card:
    """One embed, and whether everybody sees it.

    Attributes:
        voice: the persona's sentence on top; facts stand below, the same in all voices.
        table: text of a code block under the description.
        public: everybody in the channel sees it; None lets the channel decide.
        confirm: the question under it.
        picture: a PNG that is shown in it; only an answer that was deferred carries one.
    """

    title: str
    tone: Tone = Tone.OK
    voice: str = ""
    text: str = ""
    table: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    footer: str = ""
    author: str = ""
    public: bool | None = None
    confirm: Confirm | None = None
    picture: bytes = b""


PICTURE: Final = "analysis.png"


def fit(card: Card) -> Card:
    """Cut a card to Discord's limits; what is left out is told."""
    fields = tuple((cut(name, NAME), cut(value, VALUE)) for name, value in card.fields if name and value)
    hidden = max(0, len(fields) - FIELDS)
    if hidden:
        fields = (*fields[: FIELDS - 1], ("More", f"{hidden + 1} more entries are not shown"))
    fitted = replace(
        card,
        title=cut(card.title, TITLE),
        voice=cut(card.voice, VALUE),
        text=cut(card.text, DESCRIPTION // 2),
        fields=fields,
        footer=cut(card.footer, FOOTER),
        author=cut(card.author, AUTHOR),
    )
    return _within_sum(
        replace(fitted, table=_cut_rows(fitted.table, DESCRIPTION - len(describe(replace(fitted, table=""))) - 8))
    )


def _within_sum(card: Card) -> Card:
    if size(card) <= SUM:
        return card
    spare = SUM - size(replace(card, table="")) - 8
    if spare > 0:
        return replace(card, table=_cut_rows(card.table, spare))
    kept = card.fields
    while kept and size(replace(card, table="", fields=kept)) > SUM:
        kept = kept[:-1]
    return replace(card, table="", fields=kept)


def _cut_rows(table: str, room: int) -> str:
    rows = table.split("\n")
    while rows and len("\n".join(rows)) > room:
        rows.pop()
    return "\n".join(rows)


def cut(text: str, limit: int) -> str:
    """Shorten a text to a limit, showing that it was longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe(card: Card) -> str:
    """Return the embed's description: voice, text, table."""
    parts = [f"*{card.voice}*" if card.voice else "", card.text, f"```\n{card.table}\n```" if card.table else ""]
    return "\n".join(part for part in parts if part)


def size(card: Card) -> int:
    """Count what Discord counts against its limit of 6000."""
    texts = [card.title, describe(card), card.footer, card.author]
    return sum(len(text) for text in (*texts, *(part for field in card.fields for part in field)))


def embed(card: Card) -> discord.Embed:
    """Build the embed of a card, within the limits."""
    fitted = fit(card)
    made = discord.Embed(title=fitted.title, description=describe(fitted) or None, colour=int(fitted.tone))
    for name, value in fitted.fields:
        made.add_field(name=name, value=value, inline=True)
    if fitted.footer:
        made.set_footer(text=fitted.footer)
    if fitted.author:
        made.set_author(name=fitted.author)
    if card.picture:
        made.set_image(url=f"attachment://{PICTURE}")
    return made


def files(card: Card) -> list[discord.File]:
    """Return what is uploaded with a card."""
    return [discord.File(io.BytesIO(card.picture), PICTURE)] if card.picture else []
