"""What can be traded, with its steps.

Read from the venue at start, never hard-coded; called wherever a number meets the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from omega.domain.ids import Symbol, VenueName
from omega.errors import CorruptData


class Kind(StrEnum):
    """The kinds of instrument."""

    SWAP = "swap"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable contract and its rules.

    Units: price_step in quote currency; size_step and min_size in base units; min_notional in quote currency; fees as a
    fraction of the notional; maintenance is the maintenance margin rate of the lowest tier.
    """

    symbol: Symbol
    venue: VenueName
    venue_symbol: str
    base: str
    quote: str
    kind: Kind
    price_step: Decimal
    size_step: Decimal
    min_size: Decimal
    min_notional: Decimal
    max_leverage: int
    maker_fee: Decimal
    taker_fee: Decimal
    maintenance: Decimal = Decimal("0.004")

    def price(self, value: Decimal | float) -> Decimal:
        """Round a price to the nearest step.

        Raises:
            CorruptData: the value is not a positive finite number.
        """
        return _steps(_finite(value, self.symbol), self.price_step, ROUND_HALF_EVEN)

    def size(self, value: Decimal | float) -> Decimal:
        """Cut a size down to the step; the result may be zero.

        Raises:
            CorruptData: the value is not a finite number of at least zero.
        """
        return _steps(_finite(value, self.symbol), self.size_step, ROUND_DOWN)

    def tradable(self, size: Decimal, price: Decimal) -> bool:
        """Tell whether a size meets the venue's minimum size and notional."""
        return size >= self.min_size and size * price >= self.min_notional


def topic_symbol(symbol: str) -> str:
    """Return the symbol as topics spell it: lower case."""
    return symbol.lower()


def _finite(value: Decimal | float, symbol: str) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite() or number < 0:
        raise CorruptData(f"{value!r} is no price or size for {symbol}: expected a finite number of at least zero")
    return number


def _steps(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).quantize(Decimal(1), rounding=rounding) * step
