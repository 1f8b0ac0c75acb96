"""An account over a venue in memory whose journal, answers and news go wrong when the test says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from omega.bus import MemoryBus
from omega.config import Settings
from omega.domain import (
    AccountName,
    Action,
    BotName,
    Instrument,
    Intent,
    IntentId,
    Kind,
    OrderState,
    Role,
    Side,
    Symbol,
    VenueName,
)
from omega.telemetry import Metrics
from services.gateway.account import Account
from services.gateway.commands import Commands
from services.gateway.exchange_service import ExchangeService
from services.gateway.flattening import Flattener
from services.gateway.journal import Journal
from services.gateway.lookup import LookUps
from services.gateway.memory_venue import MemoryVenue
from services.gateway.orderpath import OrderPath
from services.gateway.private import PrivateSide
from services.gateway.recovery import Recovery
from services.gateway.risk.levers import Levers
from services.gateway.rows import JournalOrder
from services.gateway.stops import StopKeeper
from services.gateway.turns import Turns
from services.gateway.venue import PrivateFrame, Trade

D = Decimal
BTC = "BTC-USDT.P"
RULES = Instrument(
    symbol=BTC, venue="bitget", venue_symbol="BTC/USDT:USDT", base="BTC", quote="USDT", kind=Kind.SWAP,
    price_step=D("0.1"), size_step=D("0.001"), min_size=D("0.001"), min_notional=D(5), max_leverage=125,
    maker_fee=D("0.0002"), taker_fee=D("0.0006"),
)  # type: ignore[arg-type]  # fmt: skip
BOTS = {name: {"strategy": "ema_cross", "symbol": BTC} for name in ("ann", "bob", "cat")}


class FailingJournal(Journal):
    """A journal whose disk refuses the commit, where a disk that has become full is noticed."""

    full = False

    def _run(self, sql: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        if self.full and sql == "COMMIT":
            raise self._fault(sqlite3.OperationalError("database or disk is full"))
        return super()._run(sql, values)


class Desk:
    """One account: the order path, the private side, the stops, recovery."""

    def __init__(self, folder: Path, venue: MemoryVenue | None = None, **gateway: Any) -> None:
        quick = {
            "look_up_s": [0.01],
            "look_up_every_s": 0.01,
            "proof_of_absence_s": 0.05,
            "lanes": {"orders_per_s": 1000, "reads_per_s": 1000, "burst": 1000},
        }
        self.config = Settings.model_validate(
            {"bots": BOTS, "gateway": {"halt_file": str(folder / "HALT"), **quick, **gateway}}
        )
        metrics = Metrics()
        self.venue = venue or MemoryVenue({BTC: RULES}, {BTC: D(1000)})
        self.journal = FailingJournal(folder / "j.sqlite")
        self.journal.open()
        turns = Turns("bitget", self.config.gateway, metrics)
        self.account = Account(
            settings=self.config, journal=self.journal, venue=self.venue, metrics=metrics, turns=turns
        )
        self.account.last[BTC] = D(1000)
        self.keeper = StopKeeper(self.account)
        self.private = PrivateSide(self.account, self.keeper)
        self.look_ups = LookUps(self.account)
        self.bus = MemoryBus(source="gateway/1")
        self.leased = True
        self.path = OrderPath(self.account, self.bus, self.look_ups, leased=lambda: self.leased)
        self.look_ups.on_trades = self.private.take_trades
        self.recovery = Recovery(self.account, self.private, self.keeper, self.look_ups)
        self.flattener = Flattener(self.account, self.recovery)
        exchange = ExchangeService(self.account, self.path, dict)
        self.commands = Commands(self.account, self.bus, exchange, Levers(self.account), self.flattener)

    def on_private_open(self) -> None:
        """Nothing was missed: the desk listens from the beginning."""

    def on_private(self, frame: PrivateFrame) -> None:
        """Take a push of the venue."""
        self.private.hear(frame)

    def size(self, bot: str = "ann") -> Decimal:
        return self.account.books.book(bot, BTC).size

    def entry(
        self, number: int, bot: str, size: str, side: Side = Side.BUY, stop: str = "900", **more: Any
    ) -> JournalOrder:
        """Journal an entry that is on its way."""
        order = replace(
            JournalOrder(
                f"o{number}", f"i{number}", bot, BTC, side, D(size), Role.ENTRY, False, D(stop), None, D(1000), 1, 0,
                "", 1, state=OrderState.SENDING,
            ),
            **more,
        )  # fmt: skip
        self.journal.admit(order)
        return order

    def hold(self, number: int, bot: str, size: str, side: Side = Side.BUY, stop: str = "900", **more: Any) -> None:
        """Let a bot's entry be filled."""
        self.entry(number, bot, size, side, stop, **more)
        self.account.take(trade(number, size, side=side), bot=bot, role=Role.ENTRY)
        self.account.step(f"o{number}", OrderState.FILLED, filled=D(size))


def trade(number: int, size: str, *, side: Side = Side.BUY, client_id: str | None = None, **more: Any) -> Trade:
    """An execution of the order of this number."""
    given = {"maker": False, "forced": False, "ts_ns": 5, **more}
    name = f"o{number}" if client_id is None else client_id
    return Trade(f"t{number}", f"v{number}", name, BTC, side, D(1000), D(size), D("0.01"), "USDT", **given)


def leave(bot: str, size: str, side: Side = Side.SELL, number: int = 1) -> Intent:
    """A bot's wish to close."""
    return Intent(
        intent_id=IntentId(f"{bot}:{number}:0"),
        bot=BotName(bot),
        venue=VenueName("bitget"),
        account=AccountName("main"),
        symbol=Symbol(BTC),
        action=Action.EXIT,
        side=side,
        size=D(size),
        bar_ts_ns=number,
        ref_price=D(1000),
    )
