"""What the ledger answers over the bus: positions, trades, pnl, equity, summary, explain, analyses. For the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any, Final

from omega.bus.messages import Scalar
from omega.errors import Denied
from omega.storage import queries
from omega.storage.engine import Database

Params = Mapping[str, Scalar]

_TRADES_AT_MOST: Final = 500
_POINTS_AT_MOST: Final = 5_000
_ANALYSES_AT_MOST: Final = 100
METHODS: Final = ("positions", "trades", "pnl", "pnl_by_day", "equity", "summary", "explain", "analyses", "settle")
"""Everything that can be asked."""


class Answers:
    """Reads the database for people; every answer is one snapshot.

    Numbers of the database are exact and travel as texts; prices of bars are floats.
    """

    def __init__(self, database: Database, capital: Callable[[str], Decimal]) -> None:
        self._database = database
        self._capital = capital

    async def positions(self, params: Params) -> object:
        """Return the books, of one bot or of all, with mark and unrealised profit."""
        async with self._database.reading() as connection:
            return plain(await queries.position_rows(connection, bot=_text(params, "bot")))

    async def trades(self, params: Params) -> object:
        """Return a page of round trips, newest first, with the cursor of the next one (empty at the end)."""
        limit = _number(params, "limit", 100, at_most=_TRADES_AT_MOST)
        after = _cursor(_text(params, "cursor"))
        async with self._database.reading() as connection:
            rows = await queries.trade_rows(connection, bot=_text(params, "bot"), after=after, limit=limit)
        cursor = json.dumps(queries.trade_cursor(rows[-1])) if len(rows) == limit else ""
        return {"trades": plain(rows), "cursor": cursor}

    async def pnl(self, params: Params) -> object:
        """Return profit by bot: realised, costs, unrealised, win rate."""
        async with self._database.reading() as connection:
            rows = await queries.summary_rows(connection)
        bot = _text(params, "bot")
        names = ("bot", "realised", "fees", "funding", "net", "unrealised", "pnl", "trades", "wins")
        chosen = [{name: row[name] for name in names} for row in rows if bot in ("", row["bot"])]
        return plain([row | {"win_rate": row["wins"] / row["trades"] if row["trades"] else 0.0} for row in chosen])

    async def pnl_by_day(self, params: Params) -> object:
        """Return what the round trips of each UTC day came to, by day and bot."""
        async with self._database.reading() as connection:
            rows = await queries.pnl_by_day(
                connection,
                bot=_text(params, "bot"),
                since_ns=_number(params, "since_ns", 0),
                until_ns=_number(params, "until_ns", 0),
            )
        return plain(rows)

    async def equity(self, params: Params) -> object:
        """Return the equity curve of a bot, capital included, with the loss from its highest point so far.

        Raises:
            Denied: no bot is named.
        """
        bot = _text(params, "bot")
        if not bot:
            raise Denied("equity is asked of one bot: name it, as in bot=fib-btc", rule="params")
        async with self._database.reading() as connection:
            points = await queries.equity_points(
                connection,
                bot,
                since_ns=_number(params, "since_ns", 0),
                until_ns=_number(params, "until_ns", 0),
                points=_number(params, "points", 500, at_most=_POINTS_AT_MOST),
            )
        return {"bot": bot, "capital": plain(self._capital(bot)), "points": plain(_curve(points, self._capital(bot)))}

    async def summary(self, _params: Params) -> object:
        """Return counts and money by bot, their totals, and client ids that the venue has twice (never any)."""
        async with self._database.reading() as connection:
            rows = await queries.summary_rows(connection)
            repeated = await queries.repeated_client_ids(connection)
        for row in rows:
            row["capital"] = self._capital(row["bot"])
            row["equity"] = row["capital"] + row["pnl"]
        counted = (
            "decisions",
            "intents",
            "orders",
            "fills",
            "trades",
            "realised",
            "fees",
            "funding",
            "unrealised",
            "pnl",
        )
        totals = {name: sum((row[name] for row in rows), Decimal(0)) for name in counted}
        totals |= {name: int(totals[name]) for name in counted[:5]}
        bots = {row.pop("bot"): plain(row) for row in rows}
        return {"bots": bots, "totals": plain(totals), "duplicate_client_ids": repeated}

    async def explain(self, params: Params) -> object:
        """Return the story of an order: the decision behind it, its steps, fills and stops.

        Raises:
            Denied: no order is named, or none is known under that name.
        """
        reference = _text(params, "order")
        async with self._database.reading() as connection:
            story = await queries.order_story(connection, reference) if reference else None
        if story is None:
            raise Denied(f"no order {reference!r} in the ledger: give a client, venue or intent id", rule="params")
        return plain(story)

    async def analyses(self, params: Params) -> object:
        """Return kept analyses, newest first: those of one request (corr), or of a symbol, an analysis, or all."""
        limit = _number(params, "limit", 20, at_most=_ANALYSES_AT_MOST)
        chosen = {name: _text(params, name) for name in ("corr", "symbol", "analysis")}
        async with self._database.reading() as connection:
            return plain(await queries.analysis_rows(connection, limit=limit, **chosen))


def plain(value: Any) -> Any:
    """Return a value as JSON can write it, exact numbers as texts without exponent."""
    if isinstance(value, Decimal):
        return _digits(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def _digits(value: Decimal) -> str:
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"


def _curve(points: Sequence[queries.EquityPoint], capital: Decimal) -> list[dict[str, Any]]:
    curve, highest = [], capital
    for point in points:
        equity = capital + point.net + point.unrealised
        highest = max(highest, equity)
        drawdown = float((highest - equity) / highest) if highest > 0 else 0.0
        curve.append(asdict(point) | {"equity": equity, "drawdown": drawdown})
    return curve


def _text(params: Params, name: str) -> str:
    return str(params.get(name, ""))


def _number(params: Params, name: str, standard: int, *, at_most: int = 2**63 - 1) -> int:
    try:
        number = int(params.get(name, standard))
    except ValueError:
        raise Denied(f"{name} must be a whole number, not {params[name]!r}", rule="params") from None
    return min(max(number, 0 if standard == 0 else 1), at_most)


def _cursor(text: str) -> Sequence[Any]:
    if not text:
        return ()
    try:
        place = json.loads(text)
    except ValueError:
        place = None
    if not isinstance(place, list) or len(place) != queries.TRADE_ORDER_LENGTH:
        raise Denied("the cursor is not one that the ledger gave: leave it out to start again", rule="params")
    return place
