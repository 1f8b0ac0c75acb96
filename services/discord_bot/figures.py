"""Numbers, ages and tables as people read them on a phone. Used by every command and notice."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from services.discord_bot.card import COLUMNS

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def money(amount: Decimal | float) -> str:
    """Write an amount of quote currency with its sign."""
    return f"{amount:+,.2f} USDT"


def price(value: Decimal | float) -> str:
    """Write a price without the zeros behind it."""
    number = Decimal(str(value))
    if not number:
        return "-"
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: Decimal | float) -> str:
    """Write a size without the zeros behind it; zero is `flat`."""
    number = Decimal(str(value))
    return price(number) if number else "flat"


def age(seconds: float) -> str:
    """Write an age in its largest unit."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    return f"{whole // _HOUR} h" if whole < _DAY else f"{whole // _DAY} d"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns, first left, others right, within the width of a phone."""
    if not rows:
        return ""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    over = sum(widths) + len(widths) - 1 - COLUMNS
    widths[0] = max(4, widths[0] - max(0, over))
    return "\n".join(_line(row, widths)[:COLUMNS].rstrip() for row in (head, *rows))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0][: widths[0]].ljust(widths[0])
    return " ".join((first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))))
