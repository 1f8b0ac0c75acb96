"""Exposure at every close, worked out from the trades when somebody reads it. Made by `backtest` for one market.

Writing a second curve takes the loop a tenth of its time, and most results are read for their trades and equity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from omega.backtest.types import ExitKind, Result, Trades
from omega.engine.bars import F64


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What exposure follows from: the legs of one market, its closes and the equity."""

    trades: Trades
    close: F64
    equity: F64

    def column(self) -> F64:
        """Return the signed notional as a fraction of the equity, 0.0 where there is none left."""
        notional = self._sizes() * self.close
        return np.divide(notional, self.equity, out=np.zeros_like(notional), where=self.equity > 0.0)

    def _sizes(self) -> F64:
        """Return the signed size at every close: each leg adds a stretch from where the one before it left."""
        trades, n = self.trades, len(self.equity)
        left = trades.side * trades.size
        for later in range(1, min(3, trades.n)):
            same = trades.position[later:] == trades.position[:-later]
            left[:-later] += np.where(same, trades.side[later:] * trades.size[later:], 0.0)
        follows = np.zeros(trades.n, np.bool_)
        follows[1:] = trades.position[1:] == trades.position[:-1]
        end = trades.exit_row + (trades.exit_kind == ExitKind.END)
        begin = np.where(follows, np.roll(end, 1), trades.entry_row)
        edges = np.column_stack((begin, end)).ravel()
        lengths = np.diff(edges, prepend=0, append=n)
        values = np.zeros(len(lengths))
        values[1::2] = left
        made: F64 = np.repeat(values, lengths)
        return made


_SLOT: Final[Any] = vars(Result)["held"]
"""Where a result keeps the field."""


class LateResult(Result):
    """A result whose exposure is worked out when it is first read."""

    __slots__ = ()

    @property
    def held(self) -> Any:
        """The signed notional as a fraction of the equity, (n,)."""
        kept = _SLOT.__get__(self)
        if isinstance(kept, Exposure):
            kept = kept.column()
            _SLOT.__set__(self, kept)
        return kept

    @held.setter
    def held(self, value: Any) -> None:
        _SLOT.__set__(self, value)
