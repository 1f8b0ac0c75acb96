"""Checks that a strategy and the farm tell one truth: look-ahead, recursion, parity. Called by `omega check`."""

from omega.backtest.checks.columns import Finding
from omega.backtest.checks.lookahead import LookAhead, check_lookahead
from omega.backtest.checks.recursion import Recursion, check_recursion

__all__ = ["Finding", "LookAhead", "Recursion", "check_lookahead", "check_recursion"]
