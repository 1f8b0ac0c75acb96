"""A gate without a gateway: prices, money and settings in the hand of the test."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from omega.config import Settings
from omega.domain import Instrument, Kind
from services.gateway.risk.gate import RiskGate
from services.gateway.risk.measures import Added
from services.gateway.risk.scopes import Entity, Scope

BTC, ETH, SOL = "BTC-USDT.P", "ETH-USDT.P", "SOL-USDT.P"
BOTS = {
    "fib": {"strategy": "strategic_fibonacci", "symbol": BTC, "capital": "1000"},
    "ema": {"strategy": "ema_cross", "symbol": BTC, "capital": "1000"},
    "trend": {"strategy": "ccxt_trend", "symbol": ETH, "capital": "1000"},
}


def instrument(symbol: str) -> Instrument:
    steps = [Decimal(text) for text in ("0.1", "0.001", "0.001", "1")]
    rates = (Decimal("0.0002"), Decimal("0.0006"), Decimal("0.004"))
    return Instrument(symbol, "bitget", symbol, symbol[:3], "USDT", Kind.SWAP, *steps, 50, *rates)  # type: ignore[arg-type]


class Desk:
    """The account as the gate sees it."""

    entity = Entity(Scope.ACCOUNT, "main")
    venue_entity = Entity(Scope.VENUE, "bitget")

    def __init__(self, equity: int = 10_000) -> None:
        self.prices = {BTC: Decimal(100), ETH: Decimal(10), SOL: Decimal(1)}
        self.equity = Decimal(equity)
        self.gate: RiskGate | None = None

    def mark(self, symbol: str) -> Decimal:
        return self.prices[symbol]

    def instrument(self, symbol: str) -> Instrument | None:
        return instrument(symbol)

    def money(self, entity: Entity) -> Decimal:
        if entity.scope in {Scope.BOT, Scope.FAMILY} and self.gate is not None:
            return self.gate.money(entity)
        return self.equity


def settings(**risk: Any) -> Settings:
    return Settings.model_validate(
        {
            "bots": BOTS,
            "risk": risk,
            "trading": {"max_notional": "100000", "max_daily_loss_pct": 50.0, "max_leverage": 20},
        }
    )


def gate_of(desk: Desk | None = None, **risk: Any) -> RiskGate:
    desk = desk or Desk()
    desk.gate = RiskGate(settings(**risk), desk)
    return desk.gate


def entry(size: str = "1", symbol: str = BTC, *, sign: int = 1, price: str = "") -> Added:
    return Added(symbol, sign, Decimal(size), Decimal(price) if price else Desk().prices[symbol])


def broken(gate: RiskGate, bot: str, added: Added) -> list[tuple[str, str]]:
    return [
        (figure.limit.entity.scope.value, figure.limit.rule) for figure in gate.figures(bot, added) if figure.broken
    ]


class Notes(dict[str, str]):
    """The journal's small values."""

    def put(self, key: str, value: str) -> None:
        self[key] = value
