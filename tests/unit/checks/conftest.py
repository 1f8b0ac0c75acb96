"""Recorded candles, planted strategies, and a session made of a back-test as if a farm had traded it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.backtest.checks.recorded import Recorded
from omega.backtest.types import Costs, ExitKind, Market, Result, Steps
from omega.bus import DecisionMade
from omega.domain import (
    AccountName,
    Action,
    Bar,
    BotName,
    Decision,
    Fill,
    Instrument,
    Intent,
    Kind,
    Mode,
    OrderId,
    Role,
    Side,
    Symbol,
    TradeId,
    VenueName,
    client_id,
    intent_id,
)
from omega.engine import Bars
from omega.plugins import StrategyEntry, strategies
from omega.storage.lake.read import read_market

ROOT = Path(__file__).resolve().parents[3]
MINUTE = 60_000_000_000
BTC = Instrument(
    symbol=Symbol("BTC-USDT.P"),
    venue=VenueName("bitget"),
    venue_symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.1"),
    size_step=Decimal("0.0001"),
    min_size=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=125,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)
STEPS = Steps(0.1, 0.0001, 0.0001, 5.0)
COSTS = Costs(taker=0.0006, maker=0.0002, slippage=0.0002)
CHARTER: dict[str, Any] = {
    "bot": "ema-btc",
    "strategy": "ema_cross",
    "params": {},
    "mode": "paper",
    "venue": "bitget",
    "account": "main",
    "symbol": "BTC-USDT.P",
    "timeframe": "1m",
    "capital": "1000",
    "window": 2_000,
    "risk": 0.01,
    "max_leverage": 3,
    "max_notional": 10_000.0,
}
ROLES = {ExitKind.STOP: Role.STOP, ExitKind.TARGET: Role.TARGET, ExitKind.LIQUIDATION: Role.LIQUIDATION}


@pytest.fixture(scope="session")
def market() -> Market:
    """Ten thousand recorded minutes of Bitcoin."""
    found = read_market(ROOT / "data" / "candles", "BTCUSDT", "1m")
    return replace(found, bars=found.bars.since(found.bars.n - 10_000), symbol="BTC-USDT.P", steps=STEPS)


@pytest.fixture(scope="session")
def bars(market: Market) -> Bars:
    return market.bars


@pytest.fixture
def entry() -> Callable[..., StrategyEntry]:
    """Return a registered strategy with changes by field name; the registry stays as it is."""
    strategies.discover()

    def make(name: str = "ema_cross", **changes: Any) -> StrategyEntry:
        return replace(strategies.get(name), **changes)

    return make


def session_of(result: Result, bars: Bars, first: int, charter: dict[str, Any] | None = None) -> Recorded:
    """Return what a farm would have recorded that trades exactly as a back-test did."""
    made = Recorded(charter or CHARTER, BTC)
    rows = zip(bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True)
    made.bars = [Bar(int(ts), *(float(value) for value in rest)) for ts, *rest in rows]
    made.first_ns = int(bars.ts[first])
    trades = result.trades
    entries = {int(ts): int(side) for ts, side in zip(trades.entry_ts, trades.side, strict=True)}
    leaves = {
        int(ts)
        for ts, kind in zip(trades.exit_ts, trades.exit_kind, strict=True)
        if ExitKind(int(kind)) not in {*ROLES, ExitKind.END}
    }
    for row in range(first, bars.n):
        ts = int(bars.ts[row])
        decision = _decision(ts, float(bars.close[row]), entries.get(ts + MINUTE, 0), leave=ts + MINUTE in leaves)
        ids = (intent_id("ema-btc", ts, 1),) if decision.side else ()
        made.decisions[ts] = DecisionMade(
            "ema-btc", "ema_cross", Mode.PAPER, "BTC-USDT.P", "1m", decision, ids, Decimal(0)
        )
    for row in range(trades.n):
        _trade(made, result, row)
    made.fills.sort(key=lambda fill: fill.ts_ns)
    return made


def _decision(ts: int, price: float, side: int, *, leave: bool) -> Decision:
    return Decision(ts, price, side, leave, float(abs(side)), 1.0, (), 1, 1.0, "crossed_up" if side else "wait")


def _trade(made: Recorded, result: Result, row: int) -> None:
    trades = result.trades
    side, size = int(trades.side[row]), Decimal(repr(round(float(trades.size[row]), 8)))
    entry_ts = int(trades.entry_ts[row])
    name = intent_id("ema-btc", entry_ts - MINUTE, int(trades.leg[row]) + 1)
    buy = Side.BUY if side > 0 else Side.SELL
    price = Decimal(repr(float(trades.entry_price[row])))
    made.intents.append(
        Intent(
            name,
            BotName("ema-btc"),
            VenueName("bitget"),
            AccountName("main"),
            Symbol("BTC-USDT.P"),
            Action.ENTER,
            buy,
            size,
            entry_ts - MINUTE,
            price,
        )
    )
    kind = ExitKind(int(trades.exit_kind[row]))
    fee = float(trades.entry_price[row]) * float(size) * 0.0006
    made.fills.append(_fill(name, buy, price, size, fee, Role.ENTRY, entry_ts))
    if kind is ExitKind.END:
        return
    role = ROLES.get(kind, Role.EXIT)
    ts = int(trades.exit_ts[row]) + (MINUTE if role is not Role.EXIT else 0)
    price = Decimal(repr(float(trades.exit_price[row])))
    rest = float(trades.fee[row]) - fee
    made.fills.append(_fill(f"{name}:out", buy.opposite, price, size, rest, role, ts))


def _fill(name: str, side: Side, price: Decimal, size: Decimal, fee: float, role: Role, ts: int) -> Fill:
    return Fill(
        TradeId(f"{name}:{role}"),
        OrderId(name),
        client_id(name),
        BotName("ema-btc"),
        VenueName("bitget"),
        AccountName("main"),
        Symbol("BTC-USDT.P"),
        side,
        price,
        size,
        Decimal(repr(fee)),
        "USDT",
        role,
        ts,
    )
