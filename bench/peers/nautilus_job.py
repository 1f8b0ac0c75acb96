"""nautilus_trader: a Strategy called once a bar, its own averages, 0.01 BTC a trade; the first 52,560 bars."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import _peer
import nautilus_trader
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

BARS = 52_560
C = _peer.columns()
INSTRUMENT = TestInstrumentProvider.btcusdt_binance()
KIND = BarType.from_str(f"{INSTRUMENT.id}-1-MINUTE-LAST-EXTERNAL")
FRAME = pd.DataFrame(
    {name: C[name][:BARS] for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(C["ts"][:BARS], unit="ms", utc=True),
)
READY = BarDataWrangler(KIND, INSTRUMENT).process(FRAME)


class Cross(Strategy):
    """Long while the fast average lies above the slow one."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig())
        self.fast, self.slow = ExponentialMovingAverage(12), ExponentialMovingAverage(26)
        self.above = False
        self.size = INSTRUMENT.make_qty(Decimal("0.01"))

    def on_start(self) -> None:
        """Follow the bars."""
        self.register_indicator_for_bars(KIND, self.fast)
        self.register_indicator_for_bars(KIND, self.slow)
        self.subscribe_bars(KIND)

    def on_bar(self, _bar: Any) -> None:
        """Trade the crossings."""
        above = self.fast.value > self.slow.value
        if above != self.above:
            side = OrderSide.BUY if above else OrderSide.SELL
            self.submit_order(self.order_factory.market(INSTRUMENT.id, side, self.size))
            self.above = above


def j1() -> dict[str, Any]:
    """Run it over the first tenth of the year: half a millisecond an order would make a year a long wait."""
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True))
    )
    engine.add_venue(
        venue=Venue("BINANCE"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(1_000_000, USDT)],
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_data(READY)
    engine.add_strategy(Cross())
    engine.run()
    trades = len(engine.cache.positions_closed()) + len(engine.cache.position_snapshots())
    balance = float(engine.cache.account_for_venue(Venue("BINANCE")).balance_total(USDT))
    engine.dispose()
    return {"bars": BARS, "trades": trades, "equity": balance}


_peer.answer(
    nautilus_trader.__version__,
    {"j1": j1},
    {"j1": "0.01 BTC a trade, its own fees, fills at the bar's close; a tenth of the year, data made ready before"},
)
