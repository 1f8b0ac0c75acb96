"""raptorbt: its array runner in Rust, with curve and 48 metrics, signals and averages made by it."""

from __future__ import annotations

from typing import Any

import _peer
import raptorbt

C = _peer.columns()
TS = C["ts"] * 1_000_000


def _config(stop: float = 0.0, target: float = 0.0) -> Any:
    made = raptorbt.BacktestConfig(
        initial_capital=_peer.CAPITAL, fees=_peer.FEE, slippage=0.0, fill_timing="next_bar_open"
    )
    if stop:
        made.set_fixed_stop(stop)
    if target:
        made.set_fixed_target(target)
    return made


def _run(fast: int, slow: int, **barriers: float) -> dict[str, Any]:
    above = raptorbt.ema(C["close"], fast) > raptorbt.ema(C["close"], slow)
    entries, exits = _peer.crossings(above)
    made = raptorbt.run_single_backtest(
        TS, C["open"], C["high"], C["low"], C["close"], C["volume"], entries, exits, 1, 1.0, "BTC",
        config=_config(**barriers),
    )  # fmt: skip
    curve = made.equity_curve()
    return {"trades": int(made.metrics.total_trades), "equity": float(curve[-1])}


def j1() -> dict[str, Any]:
    return _run(12, 26)


def j2() -> dict[str, Any]:
    return _run(12, 26, stop=0.02, target=0.04)


def j3() -> dict[str, Any]:
    """Twenty of the two hundred pairs, one after another."""
    made = [_run(_peer.FASTS[0], slow) for slow in _peer.SLOWS]
    return {
        "combos": len(made),
        "trades": sum(row["trades"] for row in made),
        "equity": sum(row["equity"] for row in made),
    }


_peer.answer(
    getattr(raptorbt, "__version__", "?"),
    {"j1": j1, "j2": j2, "j3": j3},
    {"j1": "final equity 0.02 % off, its own rounding", "j2": "stops by percent", "j3": "20 of the 200 pairs"},
)
