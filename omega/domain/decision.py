"""What a bot concluded from one bar, and who changed it on the way. Made by omega.engine, kept by the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One stage of the pipeline that changed the decision.

    Stages come in a fixed order: strategy, psychology, cosmic, sizing.
    """

    stage: str
    field: str
    before: float
    after: float
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one bar for one bot.

    Units: side +1 long, -1 short, 0 none (of a new entry); exit closes the open position first; size in base units
        before the venue's step; stop and targets are prices in quote currency (0.0 = none), `targets` pairs a price
        with a fraction of the size; without a new entry the stop is where the open position's stop shall follow to,
        when that is nearer; confidence and thresholds in [0, 1]; leverage as a multiple.
    """

    bar_ts_ns: int
    price: float
    side: int
    exit: bool
    size: float
    stop: float
    targets: tuple[tuple[float, float], ...]
    leverage: int
    confidence: float
    reason: str
    audit: tuple[AuditEntry, ...] = ()

    @property
    def acts(self) -> bool:
        """Tell whether the decision asks for anything."""
        return self.exit or self.side != 0 or self.stop > 0.0
