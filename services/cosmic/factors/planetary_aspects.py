"""Harmonious aspects of ten bodies (trine, sextile) against tense ones (square, opposition), -1 to +1. Calculated."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import calculated
from omega.cosmic.table import SkyTable, aspect_balance
from omega.domain import Reading
from omega.plugins import factor

EDGE: Final = 0.33
"""Where the labels change, as the table of influences does: a third of the scale either way is mixed."""


@factor("planetary_aspects", kind="calculated", ttl_s=3600, source="JPL DE421", unit="balance of aspects")
def planetary_aspects(at_ns: int, sky: SkyTable) -> Reading:
    """Read the aspects: their balance is both the value and the raw number."""
    balance = aspect_balance(sky.positions(at_ns))
    label = "tense" if balance < -EDGE else "harmonious" if balance > EDGE else "mixed"
    return calculated("planetary_aspects", at_ns, value=balance, raw=balance, label=label)
