"""The gateway's service: puts the parts together and gives them their life. Started by `python -m services.gateway`.

One process serves one account. The journal's file lock keeps a second gateway away on this machine, the bus lease
everywhere else; while the lease is not held entries wait, stops are guarded all the same.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import ClassVar, Final

from omega.bus.codec import prepare
from omega.bus.instruments import keep_instrument
from omega.bus.messages import AccountStatus, OrderEvent, StopEvent
from omega.bus.port import Bus, BusState, Lease
from omega.config import Settings
from omega.domain import Fill, Intent, Mode, Role
from omega.errors import ConfigError, DamagedStore, Fenced, OmegaError, Rejected
from omega.plugins import venues
from omega.resilience import retry_read
from omega.runtime import BaseService, freeze
from services.gateway.account import Account
from services.gateway.again import ExitsAgain
from services.gateway.agreement import AgreementWatch
from services.gateway.classify import RefusalKind
from services.gateway.clock import ClockWatch
from services.gateway.commands import Commands
from services.gateway.exchange_service import ExchangeService, flatten
from services.gateway.flattening import Flattener
from services.gateway.funding import FundingWatch
from services.gateway.journal import Journal
from services.gateway.journal_sync import JournalSync
from services.gateway.listening import Ears
from services.gateway.lookup import LookUps
from services.gateway.market import Market
from services.gateway.orderpath import OrderPath
from services.gateway.outbox import Outbox
from services.gateway.private import PrivateSide
from services.gateway.recovery import Recovery
from services.gateway.requests import Requests
from services.gateway.risk.desk import RiskDesk
from services.gateway.risk.levers import Levers
from services.gateway.rows import JournalOrder
from services.gateway.status import StatusTeller
from services.gateway.stops import StopKeeper
from services.gateway.turns import Turns
from services.gateway.venue import PriceSource, Trade, Venue, VenueOptions

LEASE_TTL_S: Final = 5.0
_RETAKE_S: Final = 5.0
_PRUNE_S: Final = 600.0
_RULES_S: Final = 10.0
_CHECKPOINT_S: Final = 0.5


class GatewayService(BaseService):
    """One exchange account: market data, orders, stops, books."""

    name: ClassVar[str] = "gateway"

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        switches(settings)
        check_fleet(settings)
        self._lease: Lease | None = None
        journal = Journal(settings.gateway.journal)
        turns = Turns(settings.trading.venue, settings.gateway, self.metrics)
        venue = open_venue(settings)
        turns.retry_after_s, turns.weigh = venue.retry_after_s, venue.weight
        self.account = Account(settings=settings, journal=journal, venue=venue, metrics=self.metrics, turns=turns)
        self.keeper = StopKeeper(self.account)
        self.look_ups = LookUps(self.account)
        self.private = PrivateSide(self.account, self.keeper)
        self.funding = FundingWatch(self.account, self.private)
        self.private.on_worked = self.funding.look
        self.market = Market(self.account, bus, self.keeper)
        self.clock = ClockWatch(self.account)
        self.path = OrderPath(self.account, bus, self.look_ups, leased=self.leased)
        self.recovery = Recovery(self.account, self.private, self.keeper, self.look_ups)
        self.syncs = JournalSync(self.account)
        self.outbox = Outbox(journal, bus, self.account.activity, account=self.account.labels)
        self.exchange = ExchangeService(self.account, self.path, lambda: self.market.ticks)
        self.status = StatusTeller(self.account, bus, self.keeper, self.recovery, self.look_ups, self.market)
        self.desk = RiskDesk(self.account, self.status.monitor, self.path.asked)
        self.flattener = Flattener(self.account, self.recovery)
        self.again = ExitsAgain(self.account, self.recovery)
        self.commands = Commands(self.account, bus, self.exchange, Levers(self.account), self.flattener)
        self.requests = Requests(
            self.account, self.keeper, self.recovery, self.look_ups, self.outbox, self.market, self.desk
        )
        self.agreement = AgreementWatch(self.account, bus, lambda: self.market.ticks, open_price_sources(settings))
        self.account.vetoes.append(self.agreement.veto)
        self.requests.consensus = self.agreement.answer
        self._connect()

    def leased(self) -> bool:
        """Tell whether this process may open positions."""
        return self._lease is not None and self._lease.held

    # life -----------------------------------------------------------------------------------------------------------

    async def on_initialize(self) -> None:
        """Open journal and venue and recover: before that the gateway is not ready."""
        prepare(Intent, OrderEvent, Fill, StopEvent)
        loop = asyncio.get_running_loop()
        self.private.schedule = lambda call: _soon(loop, call)
        self.account.journal.open()
        self.account.load()
        self.keeper.load()
        self.flattener.load()
        self.serve_http("POST", "/kill", self.commands.kill)
        await self.account.venue.start(Ears(self.market, self.private, self.recovery.request))
        await self._refuse_withdrawal()
        await self._set_leverage()
        self._lease = await self.bus.lease(self._lease_name(), ttl_s=LEASE_TTL_S)
        await self.status.recall_halt()
        await self.recovery.start()
        await retry_read(self.market.warm_up, within_s=60.0)

    async def on_start(self) -> None:
        """Spawn every task."""
        self.again.resume()
        self.spawn("outbox", self.outbox.run)
        self.spawn("stops", self.keeper.run)
        self.spawn("bars", self.market.run_bars)
        self.spawn("quotes", self.market.run_quotes)
        self.spawn("gaps", self.market.run_gaps)
        self.spawn("reconcile", self.recovery.run)
        self.spawn("intents", self.path.run)
        self.spawn("clock", self.clock.run)
        self.spawn("commands", self.commands.run)
        self.spawn("flatten", self.flattener.run)
        self.spawn("requests", self._serve)
        self.spawn("status", self.status.run)
        if self.account.risk.fleet.others:
            self.spawn("fleet", self._follow_fleet)
        if self.agreement.on:
            self.spawn("agreement", self.agreement.run)
        self.spawn("instruments", self._keep_instruments)
        self.spawn("lease", self._keep_lease)
        self.spawn("housekeeping", self._housekeep)
        self.spawn("checkpoints", self._checkpoint)
        self.spawn("syncs", self.syncs.run)
        gc.collect()
        freeze()

    async def on_drain(self) -> None:
        """Let the sends in hand end and the bus have every event; stops stay at the venue."""
        await self.path.drain()
        self.status.keep_curves()
        self.syncs.finish()
        if self.bus.state() is BusState.CONNECTED:
            await self.outbox.flush()
            self.outbox.settle()

    async def on_stop(self) -> None:
        """Close venue and journal, also when what comes before takes too long or fails."""
        async with AsyncExitStack() as closing:
            closing.callback(self.account.journal.close)
            if self._lease is not None:
                closing.push_async_callback(self._lease.release)
            for part in (self.account.venue, self.agreement, self.look_ups, self.again, self.commands):
                closing.push_async_callback(part.close)

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the account is recovered, connected, owned and warm."""
        if not self.recovery.complete:
            return False, "recovery has not completed"
        if not self.account.venue.connected():
            return False, "the private session of the venue is not subscribed"
        if not self.leased():
            return False, "the lease of the account is not held"
        if not self.market.warm:
            return False, "the bars have no history yet"
        return True, ""

    async def on_config(self, old: Settings, new: Settings) -> None:
        """Take changed limits and rates; keys and addresses need a restart."""
        switches(new)
        if old.gateway != new.gateway:
            self.account.turns.configure(new.gateway)
        self.account.settings = new
        self.account.risk.configure(new)

    def details(self) -> Mapping[str, str | int | float | bool]:
        """Return what the heartbeat says."""
        return {
            "account": self.account.name,
            "halted": self.account.halt.active,
            "connected": self.account.venue.connected(),
            "unresolved": self.look_ups.count if self.recovery.complete else 0,
        }

    def update_metrics(self) -> None:
        """Bring the gauges up to date."""
        super().update_metrics()
        if self.recovery.complete:
            self.status.update_metrics()

    # putting together -----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.account.on_fill = self._filled
        self.account.on_bar, self.account.on_bars = self.status.heard_bar, self.status.heard_bars
        self.account.on_admit = self._admitted
        self.account.journal.on_damaged = self._damaged
        self.keeper.close_out = self.status.close_out = self.flattener.close_out = self._close_out
        self.again.close_out = self._close_out
        self.account.on_step, self.look_ups.on_absent = self.again.stepped, self.again.absent
        self.look_ups.on_trades = self._found
        self.path.on_refusal, self.path.note_refusal = self._refused, self.again.note
        self.account.vetoes.append(self.clock.veto)
        self.path.on_tightened = self.keeper.request

    def _found(self, trades: list[Trade]) -> None:
        self.private.take_trades(trades)

    def _filled(self, fill: Fill) -> None:
        self.again.filled(fill)
        self.keeper.request(f"fill {fill.trade_id}")
        self.status.soon()

    def _damaged(self, error: DamagedStore) -> None:
        """End the process, and leave the halt file: a restart that finds the file readable must not trade by it."""
        self.account.halt_in_memory(str(error))
        self._fail(error)

    def _admitted(self) -> None:
        if self.account.risk.fleet.others:
            self.status.soon()

    async def _close_out(self, bot: str, symbol: str, size: Decimal, reason: str) -> None:
        """Close a part of a book that no venue stop can; once at a time."""
        exits = [order for order in self.account.reserved(symbol, bot=bot) if order.role is not Role.ENTRY]
        if not exits:
            await self.path.close_out(flatten(self.account, bot, symbol, size, reason))

    def _refused(self, kind: RefusalKind, order: JournalOrder) -> None:
        if kind is RefusalKind.FUNDS:
            self.recovery.request()
        self.again.refused(order)
        self.logger.info("refusal.handled", kind=kind.value, client_id=order.client_id)

    # tasks ----------------------------------------------------------------------------------------------------------

    async def _follow_fleet(self) -> None:
        """Hear what the other accounts of the fleet use."""
        async with self.bus.signals(self.bus.topics.account_status("*", "*")) as statuses:
            async for received in statuses:
                if isinstance(received.envelope.data, AccountStatus):
                    self.account.risk.fleet.hear(received.envelope.data, time.monotonic())

    async def _serve(self) -> None:
        await self.bus.serve(self.name, self.requests.answer)

    async def _keep_lease(self) -> None:
        """Take the lease again when the server has lost it; end when another gateway has it.

        A lease that is only not trusted, because the server did not answer in time, renews itself when it does.

        Raises:
            Fenced: another gateway owns the account.
        """
        while True:
            await asyncio.sleep(0.5)
            if self._lease is None or not self._lease.lost or self.bus.state() is not BusState.CONNECTED:
                continue
            try:
                async with asyncio.timeout(LEASE_TTL_S + _RETAKE_S):
                    self._lease = await self.bus.lease(self._lease_name(), ttl_s=LEASE_TTL_S)
            except TimeoutError:
                if self.bus.state() is not BusState.CONNECTED:
                    continue  # the server is away again, which says nothing about another gateway
                raise Fenced(f"another gateway owns {self._lease_name()}; this one stops") from None
            self.logger.warning("lease.retaken", lease=self._lease_name(), epoch=self._lease.epoch)

    async def _keep_instruments(self) -> None:
        """Keep the symbols' rules on the bus, also after the server has forgotten everything."""
        while True:
            await self.account.standing.show(self.bus)  # before the rules: a runner that has these has that too
            for symbol in self.settings.gateway.symbols:
                await keep_instrument(self.bus, self.account.venue.instruments[symbol])
            await asyncio.sleep(_RULES_S)

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(_PRUNE_S)
            self.account.journal.prune()

    async def _checkpoint(self) -> None:
        """Tidy the journal's log up beside the loop: a commit that has to do it keeps an order waiting."""
        while True:
            await asyncio.sleep(_CHECKPOINT_S)
            try:
                await asyncio.to_thread(self.account.journal.checkpoint)
            except DamagedStore as error:
                self._damaged(error)
                raise

    def _lease_name(self) -> str:
        return f"gateway:{self.account.venue_name}:{self.account.name}"

    async def _refuse_withdrawal(self) -> None:
        """Refuse keys that could move money away; in live mode also those whose rights cannot be read.

        Raises:
            ConfigError: the key may withdraw.
        """
        live = self.settings.trading.mode is Mode.LIVE
        try:
            may = await self.account.venue.may_withdraw()
        except (Rejected, OmegaError) as error:
            if live:
                raise ConfigError(
                    f"the key's rights cannot be read, so it is not used in live mode: {error}"
                ) from error
            return
        if may:
            raise ConfigError(
                f"the key of {self.account.venue_name}/{self.account.name} may withdraw; use one that may not"
            )

    async def _set_leverage(self) -> None:
        for symbol in self.settings.gateway.symbols:
            await retry_read(lambda s=symbol: self.exchange.set_leverage(s, self.settings.trading.max_leverage))  # type: ignore[misc]


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon(call)


def switches(settings: Settings) -> None:
    """Check the three switches of live mode.

    Raises:
        ConfigError: live mode is asked for and a switch is off, or the addresses are not the venue's own.
    """
    trading, gateway = settings.trading, settings.gateway
    if trading.mode is not Mode.LIVE:
        return
    off = []
    if trading.account not in trading.live_accounts:
        off.append(f"trading.live_accounts does not name {trading.account}")
    if not trading.confirmed_limits:
        off.append("trading.confirmed_limits is false")
    if gateway.rest_url or gateway.ws_url:
        off.append("gateway.rest_url or ws_url is set")
    if gateway.consensus.urls:
        off.append("gateway.consensus.urls is set")
    if off:
        raise ConfigError(f"live mode is not switched on: {'; '.join(off)}. Set all of them, or trading.mode: paper")


def check_fleet(settings: Settings) -> None:
    """Check that the fleet's accounts, where they are named, name this one: its share of their limits is unknown else.

    Raises:
        ConfigError: they do not.
    """
    own, accounts = f"{settings.trading.venue}/{settings.trading.account}", settings.risk.accounts
    if accounts and own not in accounts:
        raise ConfigError(
            f"risk.accounts names {', '.join(accounts)} and not this gateway's own {own}; "
            f"write risk.accounts: [{', '.join([*accounts, own])}] on every gateway, and its part in risk.shares"
        )


def open_venue(settings: Settings) -> Venue:
    """Return the adapter that `trading.venue` names, not started yet.

    Raises:
        ConfigError: there is no such venue, or its keys are missing.
    """
    trading, gateway = settings.trading, settings.gateway
    venues.discover()
    adapter = venues.get(trading.venue).adapter
    secrets = {name: getattr(gateway, name).get_secret_value() for name in ("api_key", "api_secret", "passphrase")}
    needed = secrets if adapter.capabilities.passphrase else ("api_key", "api_secret")  # type: ignore[attr-defined]
    missing = [f"gateway.{name}" for name in needed if not secrets[name]]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing: put each into a file of its own in OMEGA_SECRETS_DIR")
    options = VenueOptions(
        account=trading.account,
        rest_url=gateway.rest_url,
        ws_url=gateway.ws_url,
        timeout_ms=gateway.timeout_ms,
        symbols=tuple(gateway.symbols),
        timeframes=tuple(gateway.timeframes),
        sandbox=trading.mode is not Mode.LIVE and not gateway.rest_url,
        recycle_s=gateway.recycle_s,
        **secrets,
    )
    opened: Venue = adapter(options)
    return opened


def open_price_sources(settings: Settings) -> list[PriceSource]:
    """Return the adapters of `gateway.consensus.venues`, without keys and not opened yet.

    Raises:
        ConfigError: there is no such venue.
    """
    gateway, names = settings.gateway, dict.fromkeys(settings.gateway.consensus.venues)
    venues.discover()
    found: list[PriceSource] = []
    for name in (name for name in names if name != settings.trading.venue):
        options = VenueOptions(
            account="public",
            api_key="",
            api_secret="",
            passphrase="",
            rest_url=gateway.consensus.urls.get(name, ""),
            timeout_ms=gateway.timeout_ms,
        )
        found.append(venues.get(name).adapter(options))
    return found
