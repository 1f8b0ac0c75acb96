"""Arithmetic that the kernel's influences share: rounding, root and range, made of + - x / alone.

Called by the kernel functions of chance, psychology and cosmic influence.
"""

from __future__ import annotations

from typing import Final

from omega.engine.kernel import kernel

_WHOLE: Final = 6_755_399_441_055_744.0  # adding and subtracting 1.5 * 2 ** 52 rounds to a whole number


@kernel
def whole(value: float) -> float:
    """Nearest whole number, the even one of two; exact for magnitudes below 2 ** 51."""
    return (value + _WHOLE) - _WHOLE


@kernel
def root(value: float) -> float:
    """Square root of a number from 0 to 10,000 by Newton's rule, the same steps on every path."""
    if value <= 0.0:
        return 0.0
    guess = 0.5 * (value + 1.0)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    guess = 0.5 * (guess + value / guess)
    return 0.5 * (guess + value / guess)


@kernel
def within(value: float, low: float, high: float) -> float:
    """Value cut to the range from low to high."""
    return min(max(value, low), high)
