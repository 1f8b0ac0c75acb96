"""backtesting.py: a Strategy class over ready indicator arrays."""

from __future__ import annotations

import warnings
from typing import Any

import _peer
import backtesting
import pandas as pd
from backtesting import Backtest, Strategy

warnings.simplefilter("ignore")
C = _peer.columns()
FRAME = pd.DataFrame(
    {name.capitalize(): C[name] for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(C["ts"], unit="ms"),
)


def _average(values: Any, n: int) -> Any:
    return pd.Series(values).ewm(span=n, adjust=False).mean().to_numpy()


class Cross(Strategy):
    """Long while the fast average lies above the slow one."""

    stop = 0.0
    target = 0.0

    def init(self) -> None:
        """Make the averages."""
        self.fast = self.I(_average, self.data.Close, 12)
        self.slow = self.I(_average, self.data.Close, 26)

    def next(self) -> None:
        """Trade the crossings."""
        above, before = self.fast[-1] > self.slow[-1], self.fast[-2] > self.slow[-2]
        if above and not before and not self.position:
            price = self.data.Close[-1]
            barriers = {"sl": price * (1 - self.stop), "tp": price * (1 + self.target)} if self.stop else {}
            self.buy(size=0.999, **barriers)
        elif before and not above and self.position:
            self.position.close()


def _run(**barriers: float) -> dict[str, Any]:
    # A large account of small units: it trades whole units only.
    made = Backtest(FRAME, Cross, cash=1e13, commission=_peer.FEE, finalize_trades=True).run(**barriers)
    return {"trades": int(made["# Trades"]), "equity": float(made["Equity Final [$]"]) / 1e13 * _peer.CAPITAL}


def j1() -> dict[str, Any]:
    return _run()


def j2() -> dict[str, Any]:
    return _run(stop=0.02, target=0.04)


_peer.answer(
    backtesting.__version__,
    {"j1": j1, "j2": j2},
    {"j1": "99.9 % of the equity a trade", "j2": "stops from the close of the signal"},
)
