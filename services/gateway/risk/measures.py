"""How much of each measure a scope uses, now or with one entry more. Pure: asks the account for prices and money.

Notionals are marked at the last price. What is under way counts as the worst that it can become: an entry adds its
whole rest to the gross notional, and to the net notional on its own side alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from omega.domain import Instrument
from services.gateway.risk.correlated import Correlations
from services.gateway.risk.equity import Curves
from services.gateway.risk.fleet import Fleet
from services.gateway.risk.rate import OrderRate
from services.gateway.risk.reservations import Cell, Reservations
from services.gateway.risk.scopes import EXPOSURE, Entity, Measure, Scope

ZERO: Final = Decimal(0)
HUNDRED: Final = Decimal(100)
SAFE: Final = Decimal(10) ** 12
"""The liquidation distance of nothing held, and any share of an equity that is gone: finite, as JSON wants it."""
_EMPTY: Final = Cell()
Table = dict[str, tuple[Decimal, Decimal, Decimal]]
"""Gross, long and short notional in quote currency by symbol, reservations included."""
_NOTHING: Final = (ZERO, ZERO, ZERO)


class Facts(Protocol):
    """What the gate must know of the account."""

    @property
    def entity(self) -> Entity:
        """The account as a bearer of limits."""
        ...

    @property
    def venue_entity(self) -> Entity:
        """Its venue."""
        ...

    def mark(self, symbol: str) -> Decimal:
        """Return the price that a symbol is valued at, 0 when none is known."""
        ...

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the rules of a symbol."""
        ...

    def money(self, entity: Entity) -> Decimal:
        """Return the equity of a scope of this account."""
        ...


@dataclass(frozen=True, slots=True)
class Added:
    """One entry that is asked for. Units: size in base units, price in quote currency."""

    symbol: str
    sign: int
    size: Decimal
    price: Decimal


class Uses:
    """Computes measures."""

    def __init__(
        self,
        facts: Facts,
        reservations: Reservations,
        curves: Curves,
        rate: OrderRate,
        fleet: Fleet,
        correlations: Correlations,
    ) -> None:
        self._facts = facts
        self._reservations = reservations
        self._curves = curves
        self._rate = rate
        self._fleet = fleet
        self._correlations = correlations
        self._of_table: dict[Measure, Callable[[Entity, Table, str], Decimal]] = {
            Measure.GROSS: self._gross,
            Measure.NET: self._net,
            Measure.LEVERAGE: self._leverage,
            Measure.CONCENTRATION: self._concentration,
            Measure.CORRELATED: self._correlated,
        }

    def use(self, entity: Entity, measure: Measure) -> Decimal:
        """Return a measure of a scope as it stands. Units: those of the measure."""
        if measure in EXPOSURE:
            return self._of_table[measure](entity, self.notionals(entity), "")
        return self._other(entity, measure, None)

    def around(self, entity: Entity, measures: Iterable[Measure], added: Added) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield each measure of a scope before and after an entry; of coins and groups the entry's own."""
        tables: tuple[Table, Table] | None = None
        for measure in measures:
            if measure in EXPOSURE:
                if tables is None:
                    before = self.notionals(entity, added.symbol, added.price)
                    tables = (before, _with(before, added))
                compute = self._of_table[measure]
                yield compute(entity, tables[0], added.symbol), compute(entity, tables[1], added.symbol)
            else:
                none = Added(added.symbol, added.sign, ZERO, added.price)
                yield self._other(entity, measure, none), self._other(entity, measure, added)

    # notionals ------------------------------------------------------------------------------------------------------

    def notionals(self, entity: Entity, valued: str = "", price: Decimal = ZERO) -> Table:
        """Return gross, long and short notional by symbol; for fleet and venue those of other accounts too.

        Args:
            entity: whose.
            valued: a symbol that is valued at another price than its mark.
            price: that price.
        """
        shared = entity.scope in {Scope.FLEET, Scope.VENUE}
        found: Table = {}
        for symbol, cell in self._reservations.cells(self._facts.entity if shared else entity).items():
            mark = price if symbol == valued else self._facts.mark(symbol)
            found[symbol] = (cell.gross * mark, cell.long * mark, cell.short * mark)
        if shared:
            for use in self._fleet.uses(entity):
                gross, long, short = found.get(use.symbol, _NOTHING)
                found[use.symbol] = (gross + use.gross, long + use.long, short + use.short)
        return found

    def equity(self, entity: Entity) -> Decimal:
        """Return the equity that a scope's ratios are taken of."""
        if entity.scope in {Scope.FLEET, Scope.VENUE}:
            return self._facts.money(self._facts.entity) + self._fleet.equity(entity)
        return self._facts.money(entity)

    def _price(self, symbol: str, added: Added | None) -> Decimal:
        if added is not None and symbol == added.symbol:
            return added.price
        return self._facts.mark(symbol)

    def _gross(self, _: Entity, table: Table, __: str) -> Decimal:
        return sum((row[0] for row in table.values()), ZERO)

    def _net(self, _: Entity, table: Table, __: str) -> Decimal:
        return _worst(table.values())

    def _leverage(self, entity: Entity, table: Table, symbol: str) -> Decimal:
        return _ratio(self._gross(entity, table, symbol), self.equity(entity))

    def _concentration(self, entity: Entity, table: Table, symbol: str) -> Decimal:
        coins: dict[str, Decimal] = {}
        for held, row in table.items():
            coin = self._coin(held)
            coins[coin] = coins.get(coin, ZERO) + row[0]
        asked = [coins.get(self._coin(symbol), ZERO)] if symbol else coins.values()
        return _ratio(max(asked, default=ZERO), self.equity(entity)) * HUNDRED

    def _coin(self, symbol: str) -> str:
        instrument = self._facts.instrument(symbol)
        return instrument.base if instrument is not None else symbol.partition("-")[0]

    def _correlated(self, _: Entity, table: Table, symbol: str) -> Decimal:
        return max((self._together(one, table) for one in ([symbol] if symbol else table)), default=ZERO)

    def _together(self, symbol: str, table: Table) -> Decimal:
        """Return the worst net notional of a symbol and of all that move with it, or against it."""
        rows = []
        for other, (gross, long, short) in table.items():
            sign = self._correlations.sign(symbol, other)
            if sign:
                rows.append((gross, long, short) if sign > 0 else (gross, short, long))
        return _worst(rows)

    # the others -----------------------------------------------------------------------------------------------------

    def _other(self, entity: Entity, measure: Measure, added: Added | None) -> Decimal:
        match measure:
            case Measure.RATE:
                return self._orders(entity, added)
            case Measure.DAILY_LOSS:
                return self._daily_loss(entity)
            case Measure.DRAWDOWN:
                curve = self._curves.of(entity)
                return curve.drawdown_pct if curve is not None else ZERO
            case _:
                return self._liquidation(entity, added)

    def _orders(self, entity: Entity, added: Added | None) -> Decimal:
        own = self._facts.entity if entity.scope in {Scope.FLEET, Scope.VENUE} else entity
        return Decimal(self._rate.count(own) + self._fleet.orders(entity) + (added is not None and added.size > 0))

    def _daily_loss(self, entity: Entity) -> Decimal:
        curve = self._curves.of(self._facts.entity if entity.scope in {Scope.FLEET, Scope.VENUE} else entity)
        if curve is None:
            return ZERO
        if entity.scope not in {Scope.FLEET, Scope.VENUE}:
            return curve.daily_loss_pct
        loss, base = self._fleet.day(entity)
        return max(_ratio(curve.day_loss + loss, curve.day_equity + base) * HUNDRED, ZERO)

    def _liquidation(self, entity: Entity, added: Added | None) -> Decimal:
        """Return the least distance over the symbols of the account (or of one) in % of the liquidation price.

        Source: cross margin, equity + side * size * (P - mark) = (mmr + taker) * size * P + what the others need,
        solved for P (omega.engine.margin); distance = |mark - P| / P (reference of the position analyser).
        """
        account = self._facts.entity
        cells = self._reservations.cells(account)
        symbols = {*cells, added.symbol} if added is not None else set(cells)
        rows = {symbol: self._margin(symbol, cells.get(symbol, _EMPTY), added) for symbol in symbols}
        needs = sum((need for _, _, _, need in rows.values()), ZERO)
        equity = self._facts.money(account)
        asked = [entity.name] if entity.scope is Scope.SYMBOL else list(rows)
        distances = (_distance(rows[symbol], equity, needs) for symbol in asked if symbol in rows)
        return min(distances, default=SAFE)

    def _margin(self, symbol: str, cell: Cell, added: Added | None) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Return (worst signed size, mark, rate, maintenance margin) of a symbol."""
        long, short, price = cell.long, cell.short, self._price(symbol, added)
        if added is not None and symbol == added.symbol:
            long, short = long + max(added.sign, 0) * added.size, short + max(-added.sign, 0) * added.size
        size = max(long, ZERO) if long >= short else -max(short, ZERO)
        instrument = self._facts.instrument(symbol)
        rate = instrument.maintenance + instrument.taker_fee if instrument is not None else Decimal("0.01")
        return size, price, rate, abs(size) * price * rate


def _distance(row: tuple[Decimal, Decimal, Decimal, Decimal], equity: Decimal, needs: Decimal) -> Decimal:
    size, mark, rate, need = row
    if not size or mark <= 0:
        return SAFE
    sign = 1 if size > 0 else -1
    free = equity - (needs - need)
    price = sign * (size * mark - free) / (abs(size) * (1 - sign * rate))
    if price <= 0:
        return SAFE
    if (mark - price) * sign <= 0:
        return ZERO
    return abs(mark - price) / price * HUNDRED


def _with(table: Table, added: Added) -> Table:
    """Return a table with one entry more: it adds to the gross, and to its own side alone."""
    gross, long, short = table.get(added.symbol, _NOTHING)
    more = added.size * added.price
    if added.sign > 0:
        return {**table, added.symbol: (gross + more, long + more, short)}
    return {**table, added.symbol: (gross + more, long, short + more)}


def _worst(rows: Iterable[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    long = short = ZERO
    for _, to_long, to_short in rows:
        long += to_long
        short += to_short
    return max(long, short, ZERO)


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole; anything over an equity that is gone or unknown is without bound."""
    if not part:
        return ZERO
    return part / whole if whole > 0 else SAFE
