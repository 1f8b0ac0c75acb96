"""What limits are written for: scopes, and what is measured in them. Pure; used by every part of the gate."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Scope(StrEnum):
    """Whose use a limit bounds."""

    FLEET = "fleet"
    VENUE = "venue"
    ACCOUNT = "account"
    FAMILY = "family"
    BOT = "bot"
    SYMBOL = "symbol"


class Measure(StrEnum):
    """What a limit bounds; the names of the settings."""

    GROSS = "gross_notional"
    NET = "net_notional"
    LEVERAGE = "leverage"
    CONCENTRATION = "concentration_pct"
    CORRELATED = "correlated_notional"
    RATE = "orders_per_minute"
    DAILY_LOSS = "daily_loss_pct"
    DRAWDOWN = "drawdown_pct"
    LIQUIDATION = "liquidation_distance_pct"


EXPOSURE: Final = frozenset({Measure.GROSS, Measure.NET, Measure.LEVERAGE, Measure.CONCENTRATION, Measure.CORRELATED})
"""Measures whose bounds shrink with volatility and drawdown."""
LOSSES: Final = frozenset({Measure.DAILY_LOSS, Measure.DRAWDOWN})
"""Measures of what was lost: an entry does not move them, they move on their own."""


class Entity(NamedTuple):
    """One bearer of limits: a scope and a name in it, empty for the fleet."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return f"{self.scope} {self.name}".strip()


SUMMED: Final = frozenset({Measure.GROSS, Measure.NET, Measure.CORRELATED, Measure.RATE})
"""Measures that add up over accounts; those that are ratios hold for the whole when they hold for each."""

FLEET: Final = Entity(Scope.FLEET, "")
