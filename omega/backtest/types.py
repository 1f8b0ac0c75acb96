"""The values around a back-test: a market in columns, its costs and steps, the trades and the result.

Made by the candle lake and by `backtest`; read by metrics, reports, sweeps, checks and experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from omega.engine.bars import F64, I8, I16, I64, Bars
from omega.errors import ConfigError, CorruptData

if TYPE_CHECKING:
    import pyarrow as pa

_NS: Final = 1e-9


class ExitKind(IntEnum):
    """What took a leg out of the market."""

    NONE = 0
    STOP = 1
    TARGET = 2
    SIGNAL = 3
    REVERSED = 4
    TIME = 5
    TRAIL = 6
    LIQUIDATION = 7
    END = 8


@dataclass(frozen=True, slots=True)
class Steps:
    """The venue's rules as floats.

    Units: price_step and min_notional in quote currency, size_step and min_size in base units.
    """

    price_step: float
    size_step: float
    min_size: float
    min_notional: float

    def __post_init__(self) -> None:
        if min(self.price_step, self.size_step) <= 0.0 or min(self.min_size, self.min_notional) < 0.0:
            raise ConfigError(f"{self} are no steps: the steps must lie above zero, the minimums not below it")


@dataclass(frozen=True, slots=True, eq=False)
class FundingSeries:
    """Recorded funding of one perpetual.

    Shapes: ts and rate are (k,), ts strictly rising.
    Units: ts in ns UTC; rate a fraction of the notional an instant, above zero when longs pay.
    """

    ts: I64
    rate: F64

    def __post_init__(self) -> None:
        if self.ts.shape != self.rate.shape or self.ts.ndim != 1:
            raise CorruptData(f"funding: ts has shape {self.ts.shape}, rate {self.rate.shape}; align the columns")
        if (self.ts[1:] <= self.ts[:-1]).any():
            raise CorruptData("funding: the time does not rise; sort the instants and drop the doubles")


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """One symbol's history and the rules it is traded under.

    Units: timeframe_ns in ns; maintenance a fraction; data_hash is of the bar columns, empty when nobody took it.
        Without steps sizes and prices are continuous.
    """

    symbol: str
    bars: Bars
    timeframe_ns: int
    funding: FundingSeries | None = None
    steps: Steps | None = None
    maintenance: float = 0.004
    data_hash: str = ""


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs. Units: fractions of the notional; slippage of the price, always adverse."""

    taker: float = 0.0006
    maker: float = 0.0002
    slippage: float = 0.0

    def __post_init__(self) -> None:
        for name in ("taker", "maker", "slippage"):
            if not 0.0 <= (rate := getattr(self, name)) <= 0.1:  # noqa: PLR2004 - 10 %
                what = "slippage" if name == "slippage" else f"{name} fee"
                raise ConfigError(f"a {what} of {rate:g} is no cost: write a fraction from 0 to 0.1, as in 0.0006")


@dataclass(frozen=True, slots=True)
class Limits:
    """The gate's limits on an entry, as services/gateway/risk.py judges them; 0.0 for none.

    Units: the notional of one order (a leg), and of the whole position, in quote currency.
    """

    order_notional: float = 0.0
    position_notional: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Closed legs in columns, in the order of their exits; the legs of one entry share a `position`.

    Shapes: every array is (m,).
    Units: ts in ns UTC (of the bars where the fills happened); rows index the result's time axis; size in base units;
        prices in quote currency; fee of both sides, funding positive when received, pnl net of both, in quote
        currency; mae <= 0 <= mfe as fractions of the entry price; exit_kind an ExitKind.
    """

    symbol: I16
    side: I8
    position: I64
    leg: I8
    entry_row: I64
    exit_row: I64
    entry_ts: I64
    exit_ts: I64
    size: F64
    entry_price: F64
    exit_price: F64
    fee: F64
    funding: F64
    pnl: F64
    mae: F64
    mfe: F64
    exit_kind: I8

    @property
    def n(self) -> int:
        """The number of closed legs."""
        return len(self.pnl)

    def to_table(self) -> pa.Table:
        """Return the columns as an Arrow table."""
        import pyarrow as pa

        return pa.table({name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a strategy did over history.

    Shapes: ts, equity and held are (n,), one row a bar of the time axis (the union of the markets').
    Units: ts in ns UTC, open time of the bar; equity in quote currency, marked at every close; held the signed notional
        as a fraction of the equity; capital, final_equity, fees and turnover (traded notional) in quote currency,
        funding positive when received; elapsed_s in seconds. `settings` holds everything needed to run it again,
        `seven` what the loop sums up on its way: final_equity, trades (round trips), wins, max_drawdown, the sums of
        returns, of their squares and of the squares of the negative ones. The curve ends with the last close;
        final_equity is what is left after an open position was closed there and its fee paid.
    """

    strategy: str
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    timeframe_ns: int
    ts: I64
    equity: F64
    held: F64
    trades: Trades
    capital: float
    final_equity: float
    fees: float
    funding: float
    turnover: float
    bars: int
    elapsed_s: float
    data_hash: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seven: Mapping[str, float] = field(default_factory=dict)

    @property
    def bars_per_s(self) -> float:
        """How fast it went: bars of all markets a second."""
        return self.bars / self.elapsed_s if self.elapsed_s > 0.0 else 0.0
