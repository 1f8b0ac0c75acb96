"""The account at a glance: the 1 Hz signal, the gauges, the daily loss limit. Run by the service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.bus.messages import AccountStatus, BookLine
from omega.bus.port import Bus, BusState
from omega.domain import EXTERNAL, SECOND_NS
from services.gateway.account import Account
from services.gateway.lookup import LookUps
from services.gateway.market import Market
from services.gateway.recovery import Recovery
from services.gateway.stops import StopKeeper

DAY_NS: Final = 86_400 * SECOND_NS
_SOON_S: Final = 0.05


@dataclass(slots=True)
class _Day:
    number: int = -1
    profit: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)


class StatusTeller:
    """Tells how the account stands, and halts it when the day has lost too much."""

    def __init__(
        self, account: Account, bus: Bus, keeper: StopKeeper, recovery: Recovery, look_ups: LookUps, market: Market
    ) -> None:
        self._account = account
        self._bus = bus
        self._keeper = keeper
        self._recovery = recovery
        self._look_ups = look_ups
        self._market = market
        self._soon = asyncio.Event()
        self._day = _Day()
        self._kept = ""

    def soon(self) -> None:
        """Tell it without waiting for the next turn: a fill has come."""
        self._soon.set()

    async def run(self) -> None:
        """Tell once a `gateway.status_s`, and shortly after each fill, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._account.settings.gateway.status_s):
                    await self._soon.wait()
                await asyncio.sleep(_SOON_S)
            except TimeoutError:
                pass
            self._soon.clear()
            self.watch_the_day()
            await self._keep_halt_key()
            await self._bus.send(self.message())

    async def recall_halt(self) -> None:
        """Halt when the bus remembers a halt that the journal has lost."""
        kept = await self._bus.get(self._halt_key)
        self._kept = kept or ""
        if kept and not self._account.halt.active:
            self._account.halt_entries(kept, by="bus key")

    async def _keep_halt_key(self) -> None:
        reason = self._account.halt.reason
        if reason != self._kept and self._bus.state() is BusState.CONNECTED:
            await self._bus.put(self._halt_key, reason)
            self._kept = reason

    @property
    def _halt_key(self) -> str:
        return self._bus.topics.state("halt", *self._account.labels)

    def message(self) -> AccountStatus:
        """Return the account's status."""
        account = self._account
        return AccountStatus(
            venue=account.venue_name,
            account=account.name,
            mode=account.settings.trading.mode,
            equity=account.balance.equity,
            available=account.balance.available,
            books=self._lines(),
            venue_positions=dict(account.positions),
            residuals=dict(self._recovery.residuals),
            unresolved=self._look_ups.count,
            naked_s_max=self._keeper.naked_max_s,
            halted=account.halt.active,
            halt_reason=account.halt.reason,
            connected=account.venue.connected(),
            ts_ns=account.clock(),
        )

    def watch_the_day(self) -> None:
        """Halt entries when the books have lost more than the limit since 00:00 UTC of the venue's clock."""
        account = self._account
        number = (account.venue.venue_ns() or account.clock()) // DAY_NS
        profit = sum(
            (book.net + book.unrealised(account.price(s) or book.entry) for (_, s), book in account.books.items()),
            Decimal(0),
        )
        equity = account.balance.equity
        if number != self._day.number:
            self._day = _Day(number, profit, equity)
        if not self._day.equity:
            self._day.equity = equity
        limit = self._day.equity * Decimal(repr(account.settings.trading.max_daily_loss_pct)) / 100
        lost = self._day.profit - profit
        if limit and lost > limit and not account.halt.active:
            account.halt_entries(
                f"the account has lost {lost:.2f} since 00:00 UTC, more than {limit:.2f}", by="daily-loss"
            )

    def update_metrics(self) -> None:
        """Write the account's gauges."""
        account, gauge = self._account, self._account.metrics.gauge
        labels = account.labels
        gauge("unresolved_orders").labels(*labels).set(self._look_ups.count)
        gauge("unresolved_age_seconds").labels(*labels).set(self._look_ups.oldest_s())
        gauge("reconciliation_age_seconds").labels(*labels).set(self._recovery.age_s())
        gauge("residual_age_seconds").labels(*labels).set(self._recovery.residual_s())
        gauge("open_intents").labels(*labels).set(len(account.journal.live()))
        gauge("naked_seconds_max").labels(*labels).set(self._keeper.naked_max_s)
        gauge("halted").labels(*labels).set(account.halt.active)
        gauge("venue_connected").labels(*labels).set(account.venue.connected())
        gauge("account_equity").labels(*labels).set(float(account.balance.equity))
        gauge("account_exposure").labels(*labels).set(float(account.books.notional(account.price)))
        for (bot, symbol), book in account.books.items():
            gauge("position_size").labels(bot, symbol).set(float(book.size))
            if bot == EXTERNAL:
                gauge("external_size").labels(*labels, symbol).set(float(book.size))
            gauge("naked_seconds").labels(bot, symbol).set(self._keeper.naked_s(bot, symbol))
        self._market.update_metrics()

    def _lines(self) -> tuple[BookLine, ...]:
        account, lines = self._account, list[BookLine]()
        for (bot, symbol), book in sorted(account.books.items()):
            size, trigger = self._keeper.stop_of(bot, symbol) if book.size else (Decimal(0), Decimal(0))
            lines.append(
                BookLine(
                    bot=bot,
                    symbol=symbol,
                    size=book.size,
                    entry=book.entry,
                    mark=account.price(symbol),
                    realised=book.realised,
                    fees=book.fees,
                    funding=book.funding,
                    stop_size=size,
                    stop_trigger=trigger,
                    naked_s=self._keeper.naked_s(bot, symbol),
                )
            )
        return tuple(lines)
