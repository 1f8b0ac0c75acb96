"""One value of one cosmic factor, with everything needed to distrust it. Made by the cosmic service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NO_SOURCE: Final = "none"
"""The source of a reading that stands for nothing heard."""


class FeedState(StrEnum):
    """How much a reading is worth; only `live` and `calculated` may move a decision."""

    CALCULATED = "calculated"
    LIVE = "live"
    STALE = "stale"
    FROZEN = "frozen"
    IMPLAUSIBLE = "implausible"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Reading:
    """A factor's value at an instant.

    Units: value in [-1, 1]; raw in `unit`; confidence in [0, 1]; as_of_ns is the instant the value describes; ttl_s
        is how
    long it may be used.
    """

    factor: str
    value: float
    raw: float
    unit: str
    label: str
    source: str
    as_of_ns: int
    ttl_s: int
    confidence: float
    state: FeedState

    def age_s(self, now_ns: int) -> float:
        """Return the age in seconds at `now_ns`."""
        return (now_ns - self.as_of_ns) / 1e9
