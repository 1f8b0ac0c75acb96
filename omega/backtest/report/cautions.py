"""What a careful reader would ask before believing a result, said without being asked. Shown by report and command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from omega.backtest.metrics import round_trips
from omega.backtest.report.words import percent
from omega.backtest.types import ExitKind, Result, Trades

FEW_TRADES: Final = 30
SHORT_DAYS: Final = 90.0
FEES_EAT: Final = 0.25
ONE_TRADE: Final = 0.5
SURE: Final = 0.95


def cautions(result: Result, figures: Mapping[str, float]) -> list[str]:
    """List what weakens the result, the gravest first; one sentence each."""
    return list(_cautions(result, figures))


def _cautions(result: Result, figures: Mapping[str, float]) -> Iterator[str]:
    trades = result.trades
    count, days = int(figures["trades"]), figures["days"]
    if count == 0:
        yield "It never traded: there is nothing to judge. The history may be shorter than its warm-up."
        return
    if liquidated := int(np.count_nonzero(trades.exit_kind == ExitKind.LIQUIDATION)):
        yield f"The venue liquidated {liquidated} of its legs: the leverage is too high for the stop."
    yield from _costly(figures)
    if result.settings.get("costs", {}).get("slippage") == 0.0:
        yield "No slippage was charged: real fills are worse than the open; try --slippage 0.0002, as the farm assumes."
    if count < FEW_TRADES:
        trips = "round trip" if count == 1 else "round trips"
        yield f"Only {count} {trips}: below {FEW_TRADES} the figures of trades say little."
    if days < SHORT_DAYS:
        yield f"Only {days:.0f} days of history: everything annual is extrapolated from them."
    yield from _stops(trades, result)
    if figures["probabilistic_sharpe"] < SURE and figures["roi"] > 0.0:
        chance = percent(1.0 - figures["probabilistic_sharpe"])
        yield f"Luck explains it too: with a chance of {chance} the true Sharpe ratio is not above zero."
    yield from _one_trade(trades, figures["pnl"])
    if ended := int(np.count_nonzero(trades.exit_kind == ExitKind.END)):
        yield f"{ended} {'leg was' if ended == 1 else 'legs were'} still open and closed at the last price."


def _costly(figures: Mapping[str, float]) -> Iterator[str]:
    gross, fees = figures["gross_pnl"], figures["fees"]
    if gross <= 0.0:
        yield "It loses even before fees: cheaper trading would not help."
    elif fees >= gross:
        yield f"Fees eat all of its profit: {fees:,.0f} of the {gross:,.0f} that the price brought."
    elif fees > FEES_EAT * gross:
        yield f"Fees eat {percent(fees / gross)} of its profit before costs."


def _stops(trades: Trades, result: Result) -> Iterator[str]:
    without = [name for name, value in result.params.items() if name.startswith("stop") and value == 0]
    if without:
        yield f"It trades without a stop ({without[0]} = 0): the worst loss of the past bounds nothing. Back-test only."
    elif not np.isin(trades.exit_kind, (ExitKind.STOP, ExitKind.TRAIL, ExitKind.LIQUIDATION)).any():
        yield "No trade ended at a stop: the floor under its losses was never tried by this history."


def _one_trade(trades: Trades, pnl: float) -> Iterator[str]:
    best = float(round_trips(trades)[0].max())
    if pnl > 0.0 and best > ONE_TRADE * pnl:
        yield f"One round trip made {percent(best / pnl)} of the whole profit; without it the picture changes."
