"""/analyse ...: one command an analysis of the registry, with its picture; the analytics service does the work.

Found by the command registry.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from omega.analytics.run import names
from omega.bus import BusState
from omega.errors import Stale
from omega.plugins import analyses, command
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Tone
from services.discord_bot.figures import age, table
from services.discord_bot.safe import safe, safe_code

WITHIN_NS: Final = 120_000_000_000
_FINDINGS: Final = 6
_FIGURES: Final = 8
_NUMBER, _WORDS = 12, 28
_TIMEFRAMES: Final = ("1m", "5m", "15m", "1h", "4h", "1d")
_OPTIONS: Final = (
    Option("symbol", "which market; default: the farm's first", source="symbols"),
    Option("timeframe", "length of the bars", choices=_TIMEFRAMES),
    Option("theme", "colours of the picture", choices=("dark", "light")),
)


def _handler(name: str) -> Callable[[Ask], Awaitable[Card]]:
    async def handle(ask: Ask) -> Card:
        return await analyse(ask, name=name)

    return handle


async def analyse(ask: Ask, *, name: str) -> Card:
    """Ask the service for one analysis, and show its sentence, findings with evidence, figures and picture.

    Raises:
        Stale: the service does not answer, or not in time.
    """
    desk = ask.desk
    if desk.bus.state() is not BusState.CONNECTED:
        raise Stale("the message bus does not answer: analyses cannot be asked for now")
    wanted = {option: ask.options.get(option, "") for option in ("symbol", "timeframe")}
    params = {"analysis": name, "chart": ask.options.get("theme", "dark"), **wanted}
    answer: Any = await desk.bus.ask("analytics", "analyze", params, within_ns=WITHIN_NS)
    [one] = answer["analyses"]
    facts = {"analysis": name, "symbol": safe(one["symbol"]), "findings": str(len(one["findings"]))}
    return Card(
        f"{one['symbol']} {one['timeframe']} · {analyses.get(name).title}",
        Tone.OK,
        voice=ask.voice("report.analysis", facts),
        text="\n".join([safe(one["summary"]), *(f"-# {safe(words, 300)}" for words in one["caveats"][:3])]),
        table=table(["figure", "value"], _figures(one["numbers"])),
        fields=tuple(_field(row) for row in one["findings"][:_FINDINGS]),
        footer=f"as of {one['as_of'][:16]} UTC · made {age(float(answer['age_s']))} ago · kept as {answer['corr']}",
        picture=base64.b64decode(answer["png"]),
    )


def _figures(numbers: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [safe_code(row["name"])[:_WORDS], "-" if row["value"] is None else f"{row['value']:,.5g}"[:_NUMBER]]
        for row in numbers[:_FIGURES]
    ]


def _field(row: Mapping[str, Any]) -> tuple[str, str]:
    measured = row["evidence"]
    told = safe(row["text"], 300)
    if measured and measured["n"]:
        told += (
            f"\n-# {measured['rate']:.0%} of {measured['n']:,} came true, chance {measured['base_rate']:.0%}: "
            f"{measured['verdict']}"
        )
    return f"{safe(row['name'])} {row['direction']}".strip(), told


for _name in names():
    if _name in analyses:  # `all` is for the command line: nine pictures are no answer to read on a phone
        command(
            "analyse",
            name=f"analyse {_name}",
            tier="viewer",
            latency="slow",
            about=f"{analyses.get(_name).title}, with a picture and the evidence"[:100],
            options=_OPTIONS,
        )(_handler(_name))
