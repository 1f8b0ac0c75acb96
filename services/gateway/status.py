"""The account at a glance: the 1 Hz signal, the gauges, the limits that the market may break. Run by the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Final

from omega.bus.messages import AccountStatus, BookLine
from omega.bus.port import Bus, BusState
from omega.domain import EXTERNAL, Bar
from omega.errors import EnvironmentFault
from services.gateway.account import Account
from services.gateway.lookup import LookUps
from services.gateway.market import Market
from services.gateway.recovery import Recovery
from services.gateway.risk.gate import Figure
from services.gateway.risk.limits import Limit
from services.gateway.risk.monitor import Monitor
from services.gateway.risk.scopes import Measure
from services.gateway.stops import StopKeeper

_KEEP_S: Final = 5.0
"""Time between two writes of the equity curves' peaks."""
_SOON_S: Final = 0.05


class StatusTeller:
    """Tells how the account stands, and looks at the limits of what the market does."""

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
        self._kept = ""
        self._curves_s = 0.0
        self._told: dict[str, set[tuple[str, ...]]] = {}
        self._unwatched = False
        self.monitor = Monitor(account.risk, account.halt)
        self.close_out: Callable[[str, str, Decimal, str], Awaitable[None]] | None = None
        """Closes a bot's part of a position: (bot, symbol, signed size, reason); set by the service."""

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
            self.watch_limits()
            await self._keep_halt_key()
            await self._bus.send(self.message())
            await self._close_out()
            self._keep_curves()

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
        account, gate = self._account, self._account.risk
        curve = gate.curves.of(account.entity)
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
            uses=gate.shared() if gate.fleet.others else (),
            orders_per_minute=gate.rate.count(account.entity),
            day_loss=curve.day_loss if curve is not None else Decimal(0),
            day_equity=curve.day_equity if curve is not None else Decimal(0),
        )

    def watch_limits(self) -> None:
        """Mark the equity, halt the scopes that the market has taken beyond a level, end people's changes in time."""
        account = self._account
        now = account.clock()
        try:
            account.halt.settle(ts_ns=now)
            account.risk.expire(now, account.journal)
            account.risk.mark(account.books.items())
            if self.monitor.look(now):
                self.soon()
        except EnvironmentFault as error:
            account.halt_in_memory(str(error))

    def heard_bar(self, symbol: str, timeframe: str, bar: Bar) -> None:
        """Take a closed bar into the gate."""
        self._account.risk.bar(symbol, timeframe, bar.ts_ns, bar.close)
        self._unwatched |= timeframe == self._account.settings.trading.timeframe

    def heard_bars(self) -> None:
        """Look at the limits once for all bars of a push, before any bot decides on one of them."""
        if self._unwatched:
            self._unwatched = False
            self.watch_limits()

    async def _close_out(self) -> None:
        """Close what scopes that are to be flat still hold; an order that is under way is not doubled."""
        if self.close_out is not None:
            for bot, symbol, size, reason in list(self.monitor.closings(self._account.books.items())):
                await self.close_out(bot, symbol, size, reason)

    def _keep_curves(self) -> None:
        if time.monotonic() - self._curves_s > _KEEP_S:
            self.keep_curves()

    def keep_curves(self) -> None:
        """Write the peaks down, if any is new; a full disk costs no more than that."""
        self._curves_s = time.monotonic()
        with suppress(EnvironmentFault):
            self._account.risk.keep(self._account.journal)

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
        self._money_metrics()
        for (bot, symbol), book in account.books.items():
            gauge("position_size").labels(bot, symbol).set(float(book.size))
            if bot == EXTERNAL:
                gauge("external_size").labels(*labels, symbol).set(float(book.size))
            gauge("naked_seconds").labels(bot, symbol).set(self._keeper.naked_s(bot, symbol))
        self._risk_metrics()
        self._market.update_metrics()

    def _money_metrics(self) -> None:
        """Write what the account has earned and what that cost."""
        account, labels, gauge = self._account, self._account.labels, self._account.metrics.gauge
        books = [(symbol, book) for (_, symbol), book in account.books.items()]
        open_profit = sum((book.unrealised(account.mark(symbol)) for symbol, book in books), Decimal(0))
        gauge("account_pnl").labels(*labels).set(float(sum((book.net for _, book in books), open_profit)))
        gauge("account_fees").labels(*labels).set(float(sum(book.fees for _, book in books)))
        gauge("account_funding").labels(*labels).set(float(sum(book.funding for _, book in books)))
        if trades := sum(book.trades for _, book in books):
            gauge("account_win_rate").labels(*labels).set(sum(book.wins for _, book in books) / trades)
        curve = account.risk.curves.of(account.entity)
        if curve is not None:
            gauge("account_drawdown").labels(*labels).set(float(curve.drawdown_pct) / 100)
            gauge("account_daily_loss").labels(*labels).set(float(curve.daily_loss_pct) / 100)
        for bot, part in account.slippage.by_bot():
            gauge("bot_slippage").labels(bot).set(part)
        if (part_of_all := account.slippage.whole()) is not None:
            gauge("account_slippage").labels(*labels).set(part_of_all)

    def _risk_metrics(self) -> None:
        """Write use and headroom of every limit, and count halts and locks by what they concern."""
        account, labels = self._account, self._account.labels
        rows: dict[tuple[str, ...], tuple[Limit, Decimal, Decimal]] = {}
        for limit, use, bound in self.monitor.uses():
            scope, name = limit.entity
            key: tuple[str, ...] = (*labels, scope.value, name, limit.measure.value)
            if key not in rows or limit.broken(rows[key][2], bound):  # of two limits the tighter one
                rows[key] = (limit, use, bound)
        for key, (limit, use, bound) in rows.items():
            figure = Figure(limit, use, use, bound, broken=False)
            under = limit.measure is Measure.LIQUIDATION
            account.metrics.gauge("risk_use").labels(*key).set(float(use))
            account.metrics.gauge("risk_headroom").labels(*key).set(float(use - bound if under else bound - use))
            account.metrics.gauge("risk_used_ratio").labels(*key).set(float(figure.share))
        gate = account.risk
        latched: set[tuple[str, ...]] = {
            (*labels, latch.entity.scope.value, latch.entity.name) for latch in account.halt.latches
        }
        self._flag("risk_latched", latched)
        self._flag("protections_active", {(lock.bot, lock.rule) for lock in gate.protections.active(gate.market_ns)})
        for symbol in account.settings.gateway.symbols:
            account.metrics.gauge("risk_limit_share").labels(*labels, symbol).set(float(gate.share(symbol)))

    def _flag(self, name: str, present: set[tuple[str, ...]]) -> None:
        """Set a gauge to 1 for what is there, and to 0 for what was."""
        gauge = self._account.metrics.gauge(name)
        for key in self._told.setdefault(name, set()) | present:
            gauge.labels(*key).set(key in present)
        self._told[name] |= present

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
