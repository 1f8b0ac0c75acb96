"""vectorbt: `from_signals` with value curve, Sharpe, drawdown and trades; its Rust engine where OMEGA_ENGINE=rust."""

from __future__ import annotations

import os
from typing import Any

import _peer
import numpy as np
import pandas as pd
import vectorbt as vbt

if os.environ.get("OMEGA_ENGINE") == "rust":
    vbt.settings["engine"] = "rust"

C = _peer.columns()
INDEX = pd.to_datetime(C["ts"], unit="ms")
CLOSE = pd.Series(C["close"], index=INDEX)


def _moved(flags: Any) -> Any:
    made = np.zeros_like(flags)
    made[1:] = flags[:-1]
    return made


def _averages() -> tuple[Any, Any]:
    return tuple(vbt.MA.run(CLOSE, window=n, ewm=True).ma.to_numpy().ravel() for n in (12, 26))


def _run(**stops: Any) -> dict[str, Any]:
    fast, slow = _averages()
    entries, exits = _peer.crossings(fast > slow)
    made = vbt.Portfolio.from_signals(
        CLOSE, _moved(entries), _moved(exits), price=C["open"], fees=_peer.FEE, init_cash=_peer.CAPITAL, freq="1min",
        **stops,
    )  # fmt: skip
    curve = made.value()
    made.sharpe_ratio(), made.max_drawdown(), len(curve)
    return {"trades": int(made.trades.count()), "equity": float(made.final_value())}


def j1() -> dict[str, Any]:
    return _run()


def j2() -> dict[str, Any]:
    return _run(open=C["open"], high=C["high"], low=C["low"], sl_stop=0.02, tp_stop=0.04)


def j3() -> dict[str, Any]:
    """Twenty of the two hundred pairs: chunks of twenty columns are what its memory allows."""
    fasts = {n: vbt.MA.run(CLOSE, window=n, ewm=True).ma.to_numpy().ravel() for n in _peer.FASTS[:1]}
    slows = {n: vbt.MA.run(CLOSE, window=n, ewm=True).ma.to_numpy().ravel() for n in _peer.SLOWS}
    pairs = [(f, s) for f in fasts for s in slows]
    flags = [_peer.crossings(fasts[f] > slows[s]) for f, s in pairs]
    made = vbt.Portfolio.from_signals(
        CLOSE, np.column_stack([_moved(e) for e, _ in flags]), np.column_stack([_moved(x) for _, x in flags]),
        price=C["open"][:, None], fees=_peer.FEE, init_cash=_peer.CAPITAL, freq="1min",
    )  # fmt: skip
    return {"combos": len(pairs), "trades": int(made.trades.count().sum()), "equity": float(made.final_value().sum())}


_peer.answer(
    vbt.__version__,
    {"j1": j1, "j2": j2, "j3": j3},
    {
        "j1": "an open position is marked without its exit fee",
        "j2": "no stop is looked at on the entry bar",
        "j3": "20 of the 200 pairs; final value and trades only",
    },
)
