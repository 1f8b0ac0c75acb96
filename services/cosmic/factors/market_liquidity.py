"""Spread, depth and volume of the live book against their own past: dry -1 to abundant +1. From the farm's own bus."""

from __future__ import annotations

from omega.cosmic.liquidity import state_of
from omega.cosmic.readings import Heard, fetched
from omega.domain import Reading
from omega.plugins import factor


@factor("market_liquidity", kind="fetched", feed="liquidity", ttl_s=900, source="feed liquidity", unit="level")
def market_liquidity(at_ns: int, heard: Heard | None) -> Reading:
    """Read the market's liquidity: the level is both the value and the raw number, its state the label."""
    return fetched("market_liquidity", at_ns, heard, value=float, label=state_of)
