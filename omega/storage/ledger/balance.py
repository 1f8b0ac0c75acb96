"""The double-entry check: what fills and funding say against what the books say, by bot and in total.

Cash, positions, fees and funding are added up from the facts alone; the books were folded step by step. Both must come
to the same equity, to the cent. Behind `omega ledger check` and the ledger's own watch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.domain import EXTERNAL, Side
from omega.storage.books import ZERO, BookKey
from omega.storage.queries import position_rows
from omega.storage.tables import fills, funding, trades

CENT: Final = Decimal("0.01")
TOTAL: Final = "total"
_HALF: Final = CENT / 2


@dataclass(frozen=True, slots=True)
class Balance:
    """One bot's account in quote currency; `cash + positions + fees + funding = equity`.

    Attributes:
        bot: its name, or `total`.
        cash: capital less what buys cost, plus what sells brought.
        positions: open sizes at their mark (at their entry before the first mark).
        fees: paid, as a negative number.
        funding: received, negative when paid.
        equity: the sum of these.
        booked: equity as the books have it.
        faults: what does not agree, in words; empty when all is well.
    """

    bot: str
    cash: Decimal
    positions: Decimal
    fees: Decimal
    funding: Decimal
    equity: Decimal
    booked: Decimal
    faults: tuple[str, ...]

    @property
    def difference(self) -> Decimal:
        """Equity by the facts less equity by the books."""
        return self.equity - self.booked


@dataclass(slots=True)
class _Sums:
    """What the facts of one book add up to."""

    size: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    gross: Decimal = ZERO
    trip_fees: Decimal = ZERO


def capital_of(bots: Mapping[str, Decimal | None], standard: Decimal) -> Callable[[str], Decimal]:
    """Return the function that knows each bot's capital; the external book has none."""

    def capital(bot: str) -> Decimal:
        return Decimal(0) if bot == EXTERNAL else bots.get(bot) or standard

    return capital


async def balances(connection: AsyncConnection, capital: Callable[[str], Decimal]) -> list[Balance]:
    """Return the account of every bot by name, and their total last.

    Args:
        connection: of a snapshot.
        capital: the starting money of a bot.
    """
    sums = await _sums(connection)
    booked = {
        BookKey(row["bot"], row["venue"], row["account"], row["symbol"]): row for row in await position_rows(connection)
    }
    bots = sorted({key.bot for key in (*sums, *booked)})
    rows = [_balance(bot, capital(bot), _of(sums, bot), _of(booked, bot)) for bot in bots]
    return [*rows, _total(rows)]


async def _sums(connection: AsyncConnection) -> dict[BookKey, _Sums]:
    sums: dict[BookKey, _Sums] = defaultdict(_Sums)
    columns = [fills.c[name] for name in (*BookKey._fields, "side", "price", "size", "fee")]
    async for bot, venue, account, symbol, side, price, size, fee in await connection.stream(select(*columns)):
        book = sums[BookKey(bot, venue, account, symbol)]
        signed = size if side == Side.BUY else -size
        book.size += signed
        book.cash -= signed * price
        book.fees -= fee
    columns = [funding.c[name] for name in (*BookKey._fields, "amount")]
    async for *key, amount in await connection.stream(select(*columns)):
        sums[BookKey(*key)].funding += amount
    columns = [trades.c[name] for name in (*BookKey._fields, "gross", "fees")]
    async for *key, gross, fees in await connection.stream(select(*columns)):
        book = sums[BookKey(*key)]
        book.gross += gross
        book.trip_fees += fees
    return sums


def _of(books: dict[BookKey, Any], bot: str) -> dict[BookKey, Any]:
    return {key: value for key, value in books.items() if key.bot == bot}


def _balance(bot: str, capital: Decimal, sums: dict[BookKey, _Sums], booked: dict[BookKey, Any]) -> Balance:
    faults: list[str] = []
    value = ZERO
    for key in sorted({*sums, *booked}):
        facts, book = sums.get(key, _Sums()), booked.get(key)
        if book is None:
            faults.append(f"{key.symbol} has facts and no book")
            continue
        value += facts.size * _mark(book)
        faults += [f"{key.symbol}: {words}" for words in _faults(facts, book)]
    cash = capital + sum((one.cash for one in sums.values()), ZERO)
    fees = sum((one.fees for one in sums.values()), ZERO)
    paid = sum((one.funding for one in sums.values()), ZERO)
    equity = cash + value + fees + paid
    own = capital + sum((row["pnl"] for row in booked.values()), ZERO)
    if abs(equity - own) >= _HALF:
        faults.append(f"equity is {equity:.4f} by the facts and {own:.4f} by the books")
    return Balance(bot, cash, value, fees, paid, equity, own, tuple(faults))


def _mark(book: Any) -> Decimal:
    return book["entry"] if book["mark"] is None else Decimal(repr(book["mark"]))


def _faults(facts: _Sums, book: Any) -> list[str]:
    pairs = (
        ("size", facts.size, book["size"], ZERO),
        ("fees", -facts.fees, book["fees"], _HALF),
        ("funding", facts.funding, book["funding"], _HALF),
        ("profit of the round trips", facts.gross, book["realised"], _HALF),
        ("fees of the round trips", facts.trip_fees, book["fees"], _HALF),
    )
    return [
        f"{name} is {mine} by the facts and {theirs} by the book"
        for name, mine, theirs, allowed in pairs
        if abs(mine - theirs) > allowed
    ]


def _total(rows: list[Balance]) -> Balance:
    names = ("cash", "positions", "fees", "funding", "equity", "booked")
    sums = {name: sum((getattr(row, name) for row in rows), ZERO) for name in names}
    faults = tuple(f"{row.bot}: {words}" for row in rows for words in row.faults)
    if not faults and abs(sums["equity"] - sums["booked"]) >= _HALF:
        faults = (f"equity is {sums['equity']:.4f} by the facts and {sums['booked']:.4f} by the books",)
    return Balance(TOTAL, **sums, faults=faults)
