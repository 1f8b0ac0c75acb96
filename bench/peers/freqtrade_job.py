"""freqtrade: its Backtesting over the same bars, on an exchange object that asks no network for its markets."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import _peer
import freqtrade
import pandas as pd
from freqtrade.enums import RunMode
from freqtrade.exchange import Exchange
from freqtrade.optimize.backtesting import Backtesting

logging.disable(logging.CRITICAL)
C = _peer.columns()
PAIR = "BTC/USDT"
STAKE = 100.0
FRAME = pd.DataFrame(
    {
        "date": pd.to_datetime(C["ts"], unit="ms", utc=True),
        **{name: C[name] for name in ("open", "high", "low", "close", "volume")},
    }
)
STRATEGY = '''
from freqtrade.strategy import IStrategy

class Cross(IStrategy):
    """Long while the fast average lies above the slow one."""

    timeframe = "1m"
    startup_candle_count = 0
    process_only_new_candles = True
    stoploss = {stop}
    minimal_roi = {{"0": {target}}}
    use_exit_signal = True

    def populate_indicators(self, frame, metadata):
        fast = frame["close"].ewm(span=12, adjust=False).mean()
        slow = frame["close"].ewm(span=26, adjust=False).mean()
        frame["above"] = fast > slow
        return frame

    def populate_entry_trend(self, frame, metadata):
        frame.loc[frame["above"] & ~frame["above"].shift(1, fill_value=False), "enter_long"] = 1
        return frame

    def populate_exit_trend(self, frame, metadata):
        frame.loc[~frame["above"] & frame["above"].shift(1, fill_value=False), "exit_long"] = 1
        return frame
'''
MARKET = {
    "id": "BTCUSDT", "symbol": PAIR, "base": "BTC", "quote": "USDT", "active": True, "spot": True, "type": "spot",
    "swap": False, "future": False, "margin": False, "option": False, "contract": False, "linear": None,
    "taker": _peer.FEE, "maker": _peer.FEE, "percentage": True, "contractSize": None, "info": {},
    "precision": {"price": 0.01, "amount": 1e-8},
    "limits": {"amount": {"min": 1e-8, "max": None}, "cost": {"min": 0.0, "max": None}, "price": {}, "leverage": {}},
}  # fmt: skip


def _run(stop: float, target: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "cross.py").write_text(STRATEGY.format(stop=stop, target=target), encoding="utf-8")
        config: dict[str, Any] = {
            "strategy": "Cross", "strategy_path": str(home), "user_data_dir": home, "datadir": home, "timeframe": "1m",
            "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": [PAIR], "pair_blacklist": []},
            "pairlists": [{"method": "StaticPairList"}], "stake_currency": "USDT", "stake_amount": STAKE,
            "dry_run": True, "dry_run_wallet": _peer.CAPITAL, "max_open_trades": 1, "fee": _peer.FEE,
            "trading_mode": "spot", "margin_mode": "", "runmode": RunMode.BACKTEST, "dataformat_ohlcv": "feather",
            "entry_pricing": {"price_side": "same", "use_order_book": False},
            "exit_pricing": {"price_side": "same", "use_order_book": False}, "candle_type_def": "spot",
            "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"}, "original_config": {},
            "tradable_balance_ratio": 1.0, "export": "none",
        }  # fmt: skip
        exchange = Exchange(config, validate=False)
        exchange._markets = {PAIR: MARKET}  # noqa: SLF001 - else it would ask the exchange
        engine = Backtesting(config, exchange)
        engine._set_strategy(engine.strategylist[0])  # noqa: SLF001 - as its own start() does
        frames = engine.strategy.advise_all_indicators({PAIR: FRAME})
        dates = FRAME["date"]
        made = engine.backtest(frames, dates.iloc[0].to_pydatetime(), dates.iloc[-1].to_pydatetime())
        Backtesting.cleanup()
    trades = made["results"]
    return {"trades": len(trades), "equity": _peer.CAPITAL + float(trades["profit_abs"].sum())}


def j1() -> dict[str, Any]:
    return _run(-0.99, 1_000.0)


def j2() -> dict[str, Any]:
    return _run(-0.02, 0.04)


_peer.answer(
    freqtrade.__version__,
    {"j1": j1, "j2": j2},
    {"j1": f"{STAKE:.0f} USDT a trade", "j2": f"{STAKE:.0f} USDT a trade; an exit by profit counts the fees"},
)
