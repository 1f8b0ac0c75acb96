"""What happens to an account at the venue without anybody's order: funding, liquidation, fills in parts, lost stops.

Called by the admin API and by recovery: a mishap is an input of the venue like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.simulator import liquidation
from services.simulator.by_hand import account_of
from services.simulator.codes import Code, refuse
from services.simulator.intake import Fields
from services.simulator.state import Venue


def funding(venue: Venue, _fields: Fields) -> None:
    """Settle funding now, at the rate of the instant."""
    liquidation.settle_funding(venue)


def liquidate(venue: Venue, fields: Fields) -> None:
    """Take the positions of an account in a symbol (all of them without one) at the last price."""
    account, symbol = account_of(venue, fields), fields.text("symbol")
    for position in list(account.positions.values()):
        if symbol in {"", position.symbol}:
            liquidation.liquidate(venue, account, position, venue.last(position.symbol))


def partial(venue: Venue, fields: Fields) -> None:
    """Fill the next `times` orders of clients in two parts, the second one minute later. In lock-step alone."""
    venue.partials = fields.whole("times", 1)


def no_stop(venue: Venue, fields: Fields) -> None:
    """Forget the stop that each of the next `times` entries carries."""
    venue.lost_stops = fields.whole("times", 1)


MISHAPS: Final[dict[str, Callable[[Venue, Fields], None]]] = {
    "funding": funding,
    "liquidation": liquidate,
    "partial": partial,
    "no_stop": no_stop,
}


def befall(venue: Venue, fields: Fields) -> None:
    """Let the mishap that a request names happen.

    Raises:
        Rejected: there is no such mishap, or no such account.
    """
    name = fields.text("mishap")
    if name not in MISHAPS:
        raise refuse(Code.PARAMETER, f"no mishap {name!r}: choose from {', '.join(MISHAPS)}")
    MISHAPS[name](venue, fields)
