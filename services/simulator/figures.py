"""Numbers at the wire's edge: Decimal inside, plain strings outside, floats only on the way into the shared fill rules.

Called wherever the simulator reads a number from a client or shows one.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

ZERO: Final = Decimal(0)
_CASH: Final = Decimal("0.00000001")
_RATIO: Final = Decimal("0.000000000001")


def plain(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(value: float, digits: int) -> str:
    """Write a float with at most so many digits after the point."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def cash(value: float) -> Decimal:
    """Turn what a fill rule computed into money, eight places."""
    return Decimal(repr(float(value))).quantize(_CASH, rounding=ROUND_HALF_EVEN)


def ratio(value: float) -> Decimal:
    """Turn what a fill rule computed into a ratio, twelve places."""
    return Decimal(repr(float(value))).quantize(_RATIO, rounding=ROUND_HALF_EVEN)


def nearest(value: float | Decimal, step: Decimal) -> Decimal:
    """Round to the nearest step, as `omega.domain.Instrument.price` does."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return (exact / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step


def cut(value: Decimal, step: Decimal) -> Decimal:
    """Cut down to a whole number of steps."""
    return (value / step).quantize(Decimal(1), rounding=ROUND_DOWN) * step


def number(value: object) -> Decimal | None:
    """Read a number that a client sent as text or as a JSON number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        return None
    return parsed if parsed.is_finite() else None
