"""What people ask the ledger: positions, trades, profit, equity, a summary, the story of an order.

Each takes a reading connection and returns plain values; called by the ledger's requests and the CLI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.domain import Position
from omega.domain.time import iso, timeframe_ns
from omega.storage.books import ZERO, Book, BookKey, Fact, Funded, fold, key_of, moment_of
from omega.storage.tables import (
    analyses,
    bots,
    decisions,
    equity,
    fills,
    funding,
    offsets,
    order_events,
    orders,
    positions,
    stops,
    trades,
)
from omega.storage.writes import fill_of

Row = dict[str, Any]
_TRADE_ORDER = ("opened_ns", "bot", "venue", "account", "symbol", "number")
_DAY_NS = timeframe_ns("1d")
_DAY = ("gross", "fees", "funding", "net")
TRADE_ORDER_LENGTH = len(_TRADE_ORDER)


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """What a bot is worth at the close of a bar, before its starting capital; money in quote currency."""

    close_ns: int
    price: float
    position: Decimal
    net: Decimal
    unrealised: Decimal


async def position_rows(connection: AsyncConnection, *, bot: str = "") -> list[Row]:
    """Return every book with its latest mark (None before the first) and its unrealised profit there."""
    mark = (
        select(bots.c.price)
        .where(bots.c.symbol == positions.c.symbol)
        .order_by(bots.c.bar_ts_ns.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(positions, mark.label("mark")).order_by(positions.c.bot, positions.c.symbol)
    rows = await connection.execute(_only(query, positions.c.bot, bot))
    return [_valued(dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


async def trade_rows(
    connection: AsyncConnection, *, bot: str = "", after: Sequence[Any] = (), limit: int = 100
) -> list[Row]:
    """Return round trips, newest first; `after` (`trade_cursor` of the last one seen) turns the page."""
    order = tuple_(*(trades.c[name] for name in _TRADE_ORDER))
    query = select(trades).order_by(*(trades.c[name].desc() for name in _TRADE_ORDER)).limit(limit)
    if after:
        query = query.where(order < tuple_(*after))
    rows = await connection.execute(_only(query, trades.c.bot, bot))
    return [_netted(dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def trade_cursor(row: Row) -> list[Any]:
    """Return the place of a trade in the order of `trade_rows`."""
    return [row[name] for name in _TRADE_ORDER]


async def pnl_by_day(connection: AsyncConnection, *, bot: str = "", since_ns: int = 0, until_ns: int = 0) -> list[Row]:
    """Return what the round trips that closed on each UTC day came to, by day and bot; empty days are left out."""
    names = ("bot", "closed_ns", "gross", "fees", "funding")
    query = select(*(trades.c[name] for name in names)).where(trades.c.closed_ns >= since_ns)
    if until_ns:
        query = query.where(trades.c.closed_ns < until_ns)
    days: dict[tuple[str, str], Row] = {}
    for name, closed_ns, gross, fees, paid in await connection.execute(_only(query, trades.c.bot, bot)):
        day = iso(closed_ns // _DAY_NS * _DAY_NS)[:10]
        row = days.setdefault(
            (day, name), {"day": day, "bot": name, "trades": 0, "wins": 0, **dict.fromkeys(_DAY, ZERO)}
        )
        net = gross - fees + paid
        row["trades"] += 1
        row["wins"] += net > 0
        for key, value in zip(_DAY, (gross, fees, paid, net), strict=True):
            row[key] += value
    return [days[key] for key in sorted(days)]


async def equity_points(
    connection: AsyncConnection, bot: str, *, since_ns: int = 0, until_ns: int = 0, points: int = 500
) -> list[EquityPoint]:
    """Return the bot's equity at about `points` evenly spread bar closes, each from just the fills before it."""
    marks = await _marks(connection, bot, since_ns, until_ns, points)
    facts = sorted(await _facts(connection, bot), key=moment_of)
    books: dict[BookKey, Book] = {}
    latest: dict[str, Decimal] = {}
    curve: list[EquityPoint] = []
    done = 0
    for symbol, close_ns, price in marks:
        while done < len(facts) and facts[done].ts_ns < close_ns:
            key = key_of(facts[done])
            books[key], _ = fold(books.get(key, Book()), [facts[done]])
            done += 1
        latest[symbol] = Decimal(repr(price))
        curve.append(_point(close_ns, price, symbol, books, latest))
    return curve


async def summary_rows(connection: AsyncConnection) -> list[Row]:
    """Return one row a bot: its counts, its latest decision, and the money of all its books together."""
    found = await connection.execute(select(bots).order_by(bots.c.bot))
    rows: dict[str, Row] = {row.bot: dict(row._mapping) for row in found}  # noqa: SLF001 - SQLAlchemy's public name
    books = await position_rows(connection)
    for name in sorted({book["bot"] for book in books} - set(rows)):
        rows[name] = _stranger(name)
    return [row | _money([book for book in books if book["bot"] == name]) for name, row in rows.items()]


async def repeated_client_ids(connection: AsyncConnection) -> list[str]:
    """Return client ids under which the venue has more than one order: there must be none."""
    rows = await connection.execute(select(orders.c.client_id).where(orders.c.repeats > 0).order_by(orders.c.client_id))
    return [row.client_id for row in rows]


async def analysis_rows(
    connection: AsyncConnection, *, corr: str = "", symbol: str = "", analysis: str = "", limit: int = 20
) -> list[Row]:
    """Return kept analyses, newest first: those of one request, or of a symbol, an analysis, or all."""
    query = select(analyses).order_by(analyses.c.made_ns.desc(), analyses.c.message_id.desc()).limit(limit)
    for column, value in ((analyses.c.corr, corr), (analyses.c.symbol, symbol), (analyses.c.analysis, analysis)):
        query = _only(query, column, value)
    return [dict(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


async def offset_rows(connection: AsyncConnection) -> dict[str, str]:
    """Return the newest entry of each topic that is written down."""
    return {row.topic: row.entry_id for row in await connection.execute(select(offsets))}


async def order_story(connection: AsyncConnection, reference: str) -> Row | None:
    """Tell the story of an order, found by client, venue or intent id: decision, steps, fills, stops."""
    match = or_(orders.c.client_id == reference, orders.c.order_id == reference, orders.c.intent_id == reference)
    order = (await connection.execute(select(orders).where(match).order_by(orders.c.opened_ns).limit(1))).first()
    if order is None:
        return None
    same = order.client_id
    return {
        "order": dict(order._mapping),  # noqa: SLF001 - SQLAlchemy's public name
        "decision": await _decision(connection, order.bot, order.symbol, order.bar_ts_ns),
        "events": await _matching(connection, order_events, order_events.c.client_id == same, order_events.c.ts_ns),
        "fills": await _matching(connection, fills, fills.c.client_id == same, fills.c.ts_ns),
        "stops": await _matching(
            connection,
            stops,
            and_(stops.c.bot == order.bot, stops.c.symbol == order.symbol, stops.c.ts_ns >= order.opened_ns),
            stops.c.ts_ns,
            limit=20,
        ),
    }


async def _matching(
    connection: AsyncConnection,
    table: Table,
    match: ColumnElement[bool],
    order: ColumnElement[int],
    *,
    limit: int = 200,
) -> list[Row]:
    rows = await connection.execute(select(table).where(match).order_by(order).limit(limit))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


async def _decision(connection: AsyncConnection, bot: str, symbol: str, bar_ts_ns: int) -> Row | None:
    mine = and_(decisions.c.bot == bot, decisions.c.bar_ts_ns == bar_ts_ns, decisions.c.symbol == symbol)
    found = await _matching(connection, decisions, mine, decisions.c.made_ns, limit=1)
    return found[0] if found else None


async def _marks(
    connection: AsyncConnection, bot: str, since_ns: int, until_ns: int, points: int
) -> Sequence[tuple[str, int, float]]:
    mine = equity.c.bot == bot
    if since_ns:
        mine &= equity.c.close_ns >= since_ns
    if until_ns:
        mine &= equity.c.close_ns <= until_ns
    ends = (
        await connection.execute(select(func.min(equity.c.close_ns), func.max(equity.c.close_ns)).where(mine))
    ).one()
    if ends[0] is None:
        return []
    step = max((ends[1] - ends[0]) // max(points - 1, 1), 1)
    last = (
        select(func.max(equity.c.close_ns)).where(mine).group_by(equity.c.symbol, (ends[1] - equity.c.close_ns) // step)
    )
    query = select(equity.c.symbol, equity.c.close_ns, equity.c.price).where(mine, equity.c.close_ns.in_(last))
    rows = await connection.execute(query.order_by(equity.c.close_ns, equity.c.symbol))
    return [(row.symbol, row.close_ns, row.price) for row in rows]


async def _facts(connection: AsyncConnection, bot: str) -> list[Fact]:
    filled = await connection.execute(select(fills).where(fills.c.bot == bot))
    funded = await connection.execute(select(funding).where(funding.c.bot == bot))
    return [
        *map(fill_of, filled),
        *(
            Funded(BookKey(bot, row.venue, row.account, row.symbol), row.funding_id, row.amount, row.ts_ns)
            for row in funded
        ),
    ]


def _point(
    close_ns: int, price: float, symbol: str, books: Mapping[BookKey, Book], latest: Mapping[str, Decimal]
) -> EquityPoint:
    open_ = sum(
        (book.position.unrealised(latest[key.symbol]) for key, book in books.items() if key.symbol in latest), ZERO
    )
    return EquityPoint(
        close_ns=close_ns,
        price=price,
        position=sum((book.position.size for key, book in books.items() if key.symbol == symbol), ZERO),
        net=sum((book.position.net for book in books.values()), ZERO),
        unrealised=open_,
    )


def _valued(row: Row) -> Row:
    book = Position(
        size=row["size"], entry=row["entry"], realised=row["realised"], fees=row["fees"], funding=row["funding"]
    )
    unrealised = ZERO if row["mark"] is None else book.unrealised(Decimal(repr(row["mark"])))
    for name in ("open_pnl", "last_ts_ns", "last_kind", "last_id"):
        del row[name]
    return row | {"net": book.net, "unrealised": unrealised, "pnl": book.net + unrealised}


def _netted(row: Row) -> Row:
    entered, exited = row.pop("entered_cost"), row.pop("exited_cost")
    return row | {
        "entry": entered / row["entered"] if row["entered"] else ZERO,
        "exit": exited / row["exited"] if row["exited"] else ZERO,
        "net": row["gross"] - row["fees"] + row["funding"],
    }


def _money(books: Sequence[Row]) -> Row:
    sums = ("realised", "fees", "funding", "net", "unrealised", "pnl")
    return {
        "position": sum((book["size"] for book in books), ZERO),
        "trades": sum(book["trades"] for book in books),
        "wins": sum(book["wins"] for book in books),
        **{name: sum((book[name] for book in books), ZERO) for name in sums},
    }


def _stranger(name: str) -> Row:
    """A row for a book without decisions, such as what people do by hand on the account."""
    texts = dict.fromkeys(("strategy", "mode", "symbol", "timeframe", "reason"), "")
    counts = dict.fromkeys(("decisions", "intents", "orders", "fills", "bar_ts_ns"), 0)
    return {"bot": name, **texts, **counts, "price": 0.0}


def _only(query: Any, column: ColumnElement[str], bot: str) -> Any:
    return query.where(column == bot) if bot else query
