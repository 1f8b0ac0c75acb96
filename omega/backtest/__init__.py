"""The decision pipeline over history: the same kernel as the runner's, compiled. Called by the CLI and by research."""

from omega.backtest.types import Costs, ExitKind, FundingSeries, Limits, Market, Result, Steps, Trades

__all__ = ["Costs", "ExitKind", "FundingSeries", "Limits", "Market", "Result", "Steps", "Trades"]
