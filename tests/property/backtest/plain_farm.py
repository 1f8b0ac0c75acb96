"""The farm's own code for one bar after another: decide, intents, Decimal book; a few lines of venue beside it.

The venue fills market orders at the open and legs at the prices of the shared barrier rule, rounds as an exchange does,
and funds at the close. What comes out must be what the loop over history makes in floats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np

from omega.backtest.types import Costs, Market
from omega.domain import (
    AccountName,
    Action,
    Bar,
    BotName,
    ClientId,
    Fill,
    Instrument,
    Intent,
    Kind,
    OrderId,
    Role,
    Side,
    Symbol,
    TradeId,
    VenueName,
)
from omega.engine import Portfolio, Settings, Signals, decide
from omega.engine.barriers import barrier_fill
from omega.engine.fills import fee, funding, market_fill
from omega.plugins import StrategyEntry
from services.runner.intents import Seat, intents_of

CENT = Decimal("0.00000001")
SEAT = Seat(BotName("bot"), VenueName("venue"), AccountName("main"), Symbol("BTC-USDT.P"))


@dataclass(frozen=True)
class Leg:
    """A closed leg as the farm books it."""

    entry_row: int
    exit_row: int
    side: int
    size: float
    entry: float
    exit: float
    kind: str


@dataclass
class Open:
    """A leg at the venue with its stop and target."""

    intent: Intent
    row: int
    entry: Decimal


def instrument_of(market: Market) -> Instrument:
    """Return the market's steps as the venue tells them."""
    assert market.steps is not None
    exact = {name: Decimal(repr(getattr(market.steps, name))) for name in market.steps.__slots__}
    return Instrument(
        symbol=SEAT.symbol, venue=SEAT.venue, venue_symbol="BTC/USDT:USDT", base="BTC", quote="USDT", kind=Kind.SWAP,
        max_leverage=125, maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0006"), **exact,
    )  # fmt: skip


def rows_of(signals: Signals, first: int, end: int) -> Signals:
    """Return the rows from one on, up to another that is not among them."""
    part = slice(first, end)
    return replace(
        signals,
        side=signals.side[part],
        exit=signals.exit[part],
        stop_distance=signals.stop_distance[part],
        targets=tuple(target[part] for target in signals.targets),
        confidence=signals.confidence[part],
        reason=signals.reason[part],
    )


class PlainFarm:
    """One bot on one market, bar after bar."""

    def __init__(
        self, strategy: StrategyEntry, params: object, market: Market, rules: Settings, costs: Costs, capital: float
    ) -> None:
        self.strategy, self.params, self.market, self.rules, self.costs = strategy, params, market, rules, costs
        self.instrument = instrument_of(market)
        self.book = Portfolio(Decimal(repr(capital)))
        self.open: list[Open] = []
        self.legs: list[Leg] = []
        self.asked: tuple[Intent, ...] = ()
        self.equity: list[float] = []
        self.reasons: list[str] = []
        self.guard = Decimal(0)
        self.tightened = 0

    def run(self) -> None:
        """Walk the whole market."""
        bars = self.market.bars
        whole = self.strategy.signals(bars, self.params)
        for row in range(bars.n):
            bar = Bar(int(bars.ts[row]), *(float(c[row]) for c in (bars.open, bars.high, bars.low, bars.close)), 1.0)
            self._at_open(row, bar)
            self._inside(row, bar)
            self._fund(row, bar)
            book = self.book.mark(bar)
            self.equity.append(book.equity)
            # What the strategy is shown ends with this row, wherever it begins.
            end = row + 1
            entry = replace(self.strategy, signals=lambda b, _, end=end: rows_of(whole, end - b.n, end))
            decision = decide(entry, self.params, bars.prefix(row + 1), book, self.rules)
            self.reasons.append(decision.reason)
            self._ask(intents_of(decision, SEAT, self.instrument, self.book.position.size, guard=self.guard))

    def _ask(self, intents: tuple[Intent, ...]) -> None:
        """Move stops at once, keep orders for the next open; remember the newest stop, as the runner does."""
        for intent in intents:
            self.guard = intent.stop or Decimal(0)
            if intent.action is Action.TIGHTEN:
                self.tightened += 1
                for leg in self.open:
                    leg.intent = replace(leg.intent, stop=intent.stop)
        self.asked = tuple(intent for intent in intents if intent.action is not Action.TIGHTEN)

    def _at_open(self, row: int, bar: Bar) -> None:
        for intent in self.asked:
            sign = intent.side.sign
            price = self.instrument.price(market_fill(sign, bar.open, self.costs.slippage))
            if intent.reduces:
                self._fill(intent.side, intent.size, price, bar)
                self._left(self.open, row, price, intent.reason)
                self.open = []
            else:
                self._fill(intent.side, intent.size, price, bar)
                self.open.append(Open(intent, row, price))

    def _inside(self, row: int, bar: Bar) -> None:
        for leg in list(self.open):
            intent = leg.intent
            stop, target = float(intent.stop or 0), float(intent.target or 0)
            touched, which = barrier_fill(intent.side.sign, stop, target, bar.open, bar.high, bar.low)
            if which:
                price = self.instrument.price(touched)
                other = Side.SELL if intent.side is Side.BUY else Side.BUY
                self._fill(other, intent.size, price, bar)
                self._left([leg], row, price, ("", "stop", "target")[which])
                self.open.remove(leg)

    def _fund(self, row: int, bar: Bar) -> None:
        given = self.market.funding
        if given is None or not self.book.side:
            return
        nexts = self.market.bars.ts[row + 1] if row + 1 < self.market.bars.n else bar.ts_ns + self.market.timeframe_ns
        for rate in given.rate[(given.ts > bar.ts_ns) & (given.ts <= nexts)]:
            size = abs(float(self.book.position.size))
            amount = funding(self.book.side, size, bar.close, float(rate))
            self.book.fund(Decimal(repr(amount)).quantize(CENT, rounding=ROUND_HALF_EVEN))

    def _fill(self, side: Side, size: Decimal, price: Decimal, bar: Bar) -> None:
        paid = Decimal(repr(fee(float(price), float(size), self.costs.taker))).quantize(CENT, rounding=ROUND_HALF_EVEN)
        names = TradeId("t"), OrderId("o"), ClientId("c"), SEAT.bot, SEAT.venue, SEAT.account, SEAT.symbol
        self.book.fill(Fill(*names, side, price, size, paid, "USDT", Role.ENTRY, bar.ts_ns))

    def _left(self, legs: list[Open], row: int, price: Decimal, kind: str) -> None:
        for leg in legs:
            size, entry = float(leg.intent.size), float(leg.entry)
            self.legs.append(Leg(leg.row, row, leg.intent.side.sign, size, entry, float(price), kind))


def legs_of(trades: Any) -> list[Leg]:
    """Return a result's closed legs in the same form, without what was only ended with the data."""
    words = {1: "stop", 2: "target"}
    return [
        Leg(
            int(trades.entry_row[i]), int(trades.exit_row[i]), int(trades.side[i]), float(trades.size[i]),
            float(trades.entry_price[i]), float(trades.exit_price[i]), words.get(int(trades.exit_kind[i]), "left"),
        )
        for i in np.flatnonzero(trades.exit_kind != 8)
    ]  # fmt: skip
