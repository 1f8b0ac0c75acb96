"""Follows an order through the farm: accepted, then applied by N of N.

Used by every command that changes something.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from omega.bus import SendResult, Verb
from services.discord_bot.ask import Ask
from services.discord_bot.card import Card, Tone
from services.discord_bot.desk import GATEWAY
from services.discord_bot.safe import safe

WITHIN_S: Final = 20.0
"""How long an order is watched; after that the truth comes with the ledger."""
_EVERY_S: Final = 1.0
_DONE: Final = frozenset({"applied", "confirmed", "refused"})


async def carry_out(
    ask: Ask, title: str, orders: list[tuple[Verb, str]], reason: str, *, within_s: float | None = None
) -> Card:
    """Send orders one after the other and show how far they have come, until all have answered or time is up.

    Raises:
        Denied: the bus is away and its outbox is full.
    """
    sent = [(verb, target, *await ask.desk.order(ask, verb, target, reason)) for verb, target in orders]
    if any(result is SendResult.BUFFERED for *_, result in sent):
        return Card(
            title,
            Tone.DANGER,
            text="⚠ The message bus is down. The order waits here and goes out **the moment it returns**. "
            "Stops stay at the venue. To halt at once, use the gateway's halt file or its `POST /kill`.",
            public=True,
        )
    watched = [(verb, target, command_id) for verb, target, command_id, _ in sent]
    end = time.monotonic() + (WITHIN_S if within_s is None else within_s)
    card = _card(ask, title, watched, reason)
    await ask.show(card)
    while not _complete(ask, watched) and time.monotonic() < end:
        before = _state(ask, watched)
        await ask.desk.view.wait(partial(_changed, ask, watched, before), min(_EVERY_S, end - time.monotonic()))
        fresh = _card(ask, title, watched, reason)
        if fresh != card:
            card = fresh
            await ask.show(card)
    return _card(ask, title, watched, reason, over=True)


def _state(ask: Ask, watched: list[tuple[Verb, str, str]]) -> list[dict[str, str]]:
    return [
        {who: answer.stage for who, answer in ask.desk.answers(number, target).items()} for _, target, number in watched
    ]


def _changed(ask: Ask, watched: list[tuple[Verb, str, str]], before: list[dict[str, str]]) -> bool:
    return _state(ask, watched) != before


def _complete(ask: Ask, watched: list[tuple[Verb, str, str]]) -> bool:
    return all(not _missing(ask, target, number) for _, target, number in watched)


def _missing(ask: Ask, target: str, command_id: str) -> list[str]:
    answers = ask.desk.answers(command_id, target)
    done = {who for who, answer in answers.items() if answer.stage in _DONE}
    return [who for who in ask.desk.expected(target) if who not in done]


def _card(ask: Ask, title: str, watched: list[tuple[Verb, str, str]], reason: str, *, over: bool = False) -> Card:
    fields, refused, waiting = [], False, False
    for verb, target, number in watched:
        answers, missing = ask.desk.answers(number, target), _missing(ask, target, number)
        expected = ask.desk.expected(target)
        applied = [who for who in expected if who in answers and answers[who].stage in {"applied", "confirmed"}]
        told = [f"{who} {a.stage}: {safe(a.detail)}" for who, a in answers.items() if who == GATEWAY]
        refusals = [f"{safe(who)} refused: {safe(a.detail)}" for who, a in answers.items() if a.stage == "refused"]
        refused, waiting = refused or bool(refusals), waiting or bool(missing)
        lines = [f"accepted → applied by {len(applied)} of {len(expected)}", *(refusals or told)]
        if missing:
            lines.append(f"{'no answer from' if over else 'waiting for'} {', '.join(missing)}")
        fields.append((f"{verb} {target}", "\n".join(lines)))
    tone = Tone.DANGER if refused else Tone.WARN if waiting else Tone.OK
    text = f"Ordered by <@{ask.who.id}>: {safe(reason)}"
    return Card(title, tone, text=text, fields=tuple(fields), footer=f"order {ask.id}", public=True)
