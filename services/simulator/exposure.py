"""Risk of open positions on the venue's terms: maintenance, ratios, liquidation prices, all by the shared formulas.

Called by liquidation and by every place that shows a position.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from omega.engine import margin
from services.simulator.account import Account, Position
from services.simulator.figures import ZERO, nearest, ratio
from services.simulator.instruments import Product
from services.simulator.state import Venue


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of a position beside its own values. Units: prices and locked size as in the position."""

    liquidation: Decimal
    rate: Decimal
    margin_ratio: Decimal
    break_even: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True)
class Risk:
    """The crossed part of an account. Units: money in quote currency, the ratio maintenance / equity."""

    cross_equity: float
    cross_maintenance: float

    @property
    def cross_ratio(self) -> Decimal:
        """The venue's crossedRiskRate."""
        if not self.cross_maintenance or self.cross_equity <= 0:
            return ZERO
        return ratio(self.cross_maintenance / self.cross_equity)


def maintenance_rate(venue: Venue, account: Account, position: Position, mark: float) -> float:
    """Return the tier's rate: a crossed symbol counts both directions together, an isolated one each by itself."""
    held = [position] if position.isolated else account.held(position.symbol)
    value = sum((item.size for item in held), ZERO) * Decimal(repr(mark))
    return venue.catalogue.swap[position.symbol].maintenance_rate(value)


def maintenance(venue: Venue, account: Account, position: Position) -> float:
    """Return the maintenance margin of a position and its closing fee at the last price."""
    mark = venue.last(position.symbol)
    rate = maintenance_rate(venue, account, position, mark)
    return margin.maintenance(float(position.size), mark, rate, venue.catalogue.swap[position.symbol].taker)


def cross_risk(venue: Venue, account: Account) -> Risk:
    """Return the crossed equity and the maintenance that it must carry."""
    equity, need = float(account.wallet), 0.0
    for position in account.positions.values():
        if position.isolated:
            equity -= float(position.margin())
        else:
            equity += float(position.unrealised(venue.last(position.symbol)))
            need += maintenance(venue, account, position)
    return Risk(equity, need)


def liquidation_price(venue: Venue, account: Account, position: Position, risk: Risk) -> float:
    """Return the price at which the venue takes the position, 0.0 when no price does.

    Other crossed positions stand still at their last price; their maintenance is set aside.
    """
    symbol, size = position.symbol, float(position.size)
    mark = venue.last(symbol)
    rate = maintenance_rate(venue, account, position, mark)
    taker = venue.catalogue.swap[symbol].taker
    if position.isolated:
        own = float(position.margin())
        return margin.isolated_liquidation(position.side, size, float(position.entry), own, rate, taker)
    others = risk.cross_maintenance - maintenance(venue, account, position)
    return margin.cross_liquidation(position.side, size, mark, risk.cross_equity - others, rate, taker)


def view(venue: Venue, account: Account, position: Position) -> View:
    """Work out what is shown of a position."""
    instrument = venue.catalogue.swap[position.symbol]
    risk = cross_risk(venue, account)
    mark = venue.last(position.symbol)
    if position.isolated:
        own = float(position.margin() + position.unrealised(mark))
        shown = ratio(maintenance(venue, account, position) / own) if own > 0 else ZERO
    else:
        shown = risk.cross_ratio
    even = Decimal(repr(margin.break_even(position.side, float(position.entry), instrument.taker)))
    return View(
        liquidation=nearest(max(0.0, liquidation_price(venue, account, position, risk)), Decimal("0.000000001")),
        rate=Decimal(repr(maintenance_rate(venue, account, position, mark))),
        margin_ratio=shown,
        break_even=(even / instrument.tick).quantize(Decimal(1), rounding=ROUND_DOWN) * instrument.tick,
        locked=_locked(venue, account, position),
    )


def _locked(venue: Venue, account: Account, position: Position) -> Decimal:
    orders = venue.book.open_of(account.uid, Product.SWAP, position.symbol)
    closing = (order.left for order in orders if order.reducing and order.side == -position.side)
    return min(position.size, sum(closing, ZERO))
