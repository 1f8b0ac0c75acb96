"""Risk: tails by three methods, recorded crashes as scenarios, correlation, the condition of a market, and a book's.

Called by the analytics service and `omega analyze SYMBOL risk`. Import the public names from here.
"""

from omega.analytics.risk.assessment import (
    Assessment,
    Limits,
    PositionRisk,
    Reason,
    assess,
    book_returns,
    correlated_notional,
)
from omega.analytics.risk.condition import Condition, condition
from omega.analytics.risk.correlation import Together, correlate, correlate_returns, ledoit_wolf, shared_returns
from omega.analytics.risk.stress import Crash, Scenario, Stressed, coin_of, find_crashes, scenarios, stress
from omega.analytics.risk.tails import Coverage, Tail, cornish_fisher, coverage, filtered, historical, kupiec, tails

__all__ = [
    "Assessment",
    "Condition",
    "Coverage",
    "Crash",
    "Limits",
    "PositionRisk",
    "Reason",
    "Scenario",
    "Stressed",
    "Tail",
    "Together",
    "assess",
    "book_returns",
    "coin_of",
    "condition",
    "cornish_fisher",
    "correlate",
    "correlate_returns",
    "correlated_notional",
    "coverage",
    "filtered",
    "find_crashes",
    "historical",
    "kupiec",
    "ledoit_wolf",
    "scenarios",
    "shared_returns",
    "stress",
    "tails",
]
