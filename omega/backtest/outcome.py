"""What a run left behind, as a `Result`. Called by `backtest`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.backtest import legs
from omega.backtest.exposure import Exposure, LateResult
from omega.backtest.types import Costs, Limits, Market, Result, Trades
from omega.engine.bars import F64, I64
from omega.engine.decision import Settings

if TYPE_CHECKING:
    from omega.backtest.influences import Influences


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What was asked of a run."""

    strategy: str
    params: object
    markets: Sequence[Market]
    rules: Settings
    costs: Costs
    limits: Limits
    warmup: int
    capital: float
    influences: Influences | None

    def settings(self) -> Mapping[str, Any]:
        """Return everything needed to run it again, as plain values."""
        own = self.rules
        return {
            "rules": {f.name: getattr(own, f.name) for f in fields(own) if f.name not in {"psychology", "cosmic"}},
            "costs": asdict(self.costs),
            "limits": asdict(self.limits),
            "warmup": self.warmup,
            "capital": self.capital,
            "markets": {
                one.symbol: {
                    "steps": asdict(one.steps) if one.steps else None,
                    "maintenance": one.maintenance,
                    "funding": one.funding is not None,
                    "data_hash": one.data_hash,
                }
                for one in self.markets
            },
            "influences": dict(self.influences.settings()) if self.influences else {},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What the loop left: the axis, the closes of the first market, how many bars, money, curves and trade rows."""

    axis: I64
    close: F64
    bars: int
    m: F64
    equity: F64
    held: F64
    out: F64


def result_of(asked: Asked, made: Made, began: float) -> Result:
    """Make the result of a run that began at this reading of the performance counter."""
    m = made.m
    trades = _trades(made.axis, made.out[: int(m[legs.LEGS])])
    late: Any = Exposure(trades, made.close, made.equity) if len(asked.markets) == 1 else made.held
    seven = {
        "final_equity": float(m[legs.CASH]),
        "trades": float(m[legs.TRIPS]),
        "wins": float(m[legs.WINS]),
        "max_drawdown": float(m[legs.DEEPEST]),
        "sum_returns": float(m[legs.SUM]),
        "sum_squares": float(m[legs.SQUARES]),
        "sum_downside_squares": float(m[legs.DOWNSIDE]),
    }
    settings = asked.settings()
    return LateResult(
        strategy=asked.strategy,
        params=_params(asked.params),
        symbols=tuple(market.symbol for market in asked.markets),
        timeframe_ns=asked.markets[0].timeframe_ns,
        ts=made.axis,
        equity=made.equity,
        held=late,
        trades=trades,
        capital=float(asked.capital),
        final_equity=seven["final_equity"],
        fees=float(m[legs.FEES]),
        funding=float(m[legs.FUNDING]),
        turnover=float(m[legs.TURNOVER]),
        bars=made.bars,
        elapsed_s=time.perf_counter() - began,
        data_hash="+".join(market.data_hash for market in asked.markets),
        settings=settings,
        seven=seven,
    )


def _trades(axis: I64, out: F64) -> Trades:
    rows = out.T
    entry, exit_ = rows[legs.T_ENTRY_ROW].astype(np.int64), rows[legs.T_EXIT_ROW].astype(np.int64)
    return Trades(
        symbol=rows[legs.T_SYMBOL].astype(np.int16),
        side=rows[legs.T_SIDE].astype(np.int8),
        position=rows[legs.T_POSITION].astype(np.int64),
        leg=rows[legs.T_LEG].astype(np.int8),
        entry_row=entry,
        exit_row=exit_,
        entry_ts=axis[entry],
        exit_ts=axis[exit_],
        size=rows[legs.T_SIZE],
        entry_price=rows[legs.T_ENTRY],
        exit_price=rows[legs.T_EXIT],
        fee=rows[legs.T_FEE],
        funding=rows[legs.T_FUNDING],
        pnl=rows[legs.T_PNL],
        mae=rows[legs.T_MAE],
        mfe=rows[legs.T_MFE],
        exit_kind=rows[legs.T_KIND].astype(np.int8),
    )


def _params(params: object) -> Mapping[str, Any]:
    specs = getattr(type(params), "__params__", ())
    return {spec.name: getattr(params, spec.name) for spec in specs}
