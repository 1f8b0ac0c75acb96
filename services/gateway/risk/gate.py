"""The gate's memory and its judgement of limits: everything that `rules` asks about limits, locks and halts.

One an account. Fed by the journal (every order that is written), by the account (every fill) and by the market (every
bar); it reads no clock and waits for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from omega.bus.messages import RiskVerdict, SymbolUse
from omega.config import Levels, Settings
from omega.domain import Fill, Position, timeframe_ns
from services.gateway.risk.correlated import Correlations
from services.gateway.risk.dynamic import drawdown_share, volatility_share
from services.gateway.risk.equity import Curves
from services.gateway.risk.fleet import Fleet
from services.gateway.risk.limits import Limit, Limits, Override
from services.gateway.risk.measures import SAFE, Added, Facts, Uses
from services.gateway.risk.protections import Lock, ProtectionBook
from services.gateway.risk.rate import OrderRate
from services.gateway.risk.reservations import Reservations
from services.gateway.risk.scopes import EXPOSURE, FLEET, LOSSES, SUMMED, Entity, Measure, Scope

ZERO: Final = Decimal(0)
WHOLE: Final = Decimal(1)
NS: Final = 1_000_000_000


class Memory(Protocol):
    """Where small values survive a restart: the journal."""

    def put(self, key: str, value: str) -> None:
        """Keep a value."""
        ...

    def get(self, key: str, default: str = "") -> str:
        """Return a value."""
        ...


class Figure(NamedTuple):
    """One limit measured for one entry: the use before and after it, and the bound in force (already scaled)."""

    limit: Limit
    before: Decimal
    after: Decimal
    bound: Decimal
    broken: bool

    @property
    def share(self) -> Decimal:
        """How much of the limit is used after it, 1 = all."""
        if self.limit.measure is Measure.LIQUIDATION:
            return self.bound / self.after if self.after > 0 else WHOLE
        return self.after / self.bound if self.bound > 0 else WHOLE

    def verdict(self) -> RiskVerdict:
        """Return the figures as the order event carries them."""
        limit = self.limit
        rule = limit.rule if self.broken else ""
        numbers = (_short(self.before), _short(self.after), _short(self.bound))
        scope, name = limit.entity
        return RiskVerdict(not self.broken, rule, scope.value, name, limit.measure.value, *numbers)

    def words(self) -> str:
        """Say what is broken, and where the limit is written."""
        limit, under = self.limit, self.limit.measure is Measure.LIQUIDATION
        return (
            f"{limit.entity}: {limit.measure} would be {_short(self.after)}, {'below' if under else 'above'} "
            f"{_short(self.bound)} ({limit.origin})"
        )


class RiskGate:
    """Limits, reservations, equity, locks of one account."""

    def __init__(self, settings: Settings, facts: Facts) -> None:
        self._settings = settings
        self._facts = facts
        self._groups: dict[tuple[str, str], tuple[Entity, ...]] = {}
        self._families: dict[str, str] = {}
        self._configured: dict[Entity, None] = {}
        self._capitals: dict[Entity, Decimal] = {}
        self._base: Decimal | None = None
        self.market_ns = 0
        """The newest market time that was seen."""
        self.limits = Limits(settings)
        self.reservations = Reservations(self.entities)
        self.curves = Curves()
        self.rate = OrderRate()
        self.fleet = Fleet(f"{facts.venue_entity.name}/{facts.entity.name}")
        self.correlations = Correlations(settings.risk)
        self.protections = ProtectionBook(settings)
        self.uses = Uses(facts, self.reservations, self.curves, self.rate, self.fleet, self.correlations)
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Take changed settings."""
        self._settings = settings
        families = settings.risk.families
        self._families = {strategy: name for name, strategies in families.items() for strategy in strategies}
        self._groups.clear()
        self._configured.clear()
        self._capitals = self._capital_table()
        self.limits.configure(settings)
        self.fleet.configure(settings.risk.accounts, settings.risk.shares)
        self.correlations.configure(settings.risk)
        self.protections.configure(settings)
        self.reservations.regroup()

    # whose limits ---------------------------------------------------------------------------------------------------

    def family(self, bot: str) -> str:
        """Return the strategy family of a bot, empty for what is none of ours."""
        plan = self._settings.bots.get(bot)
        return "" if plan is None else self._families.get(plan.strategy, plan.strategy)

    def entities(self, bot: str, symbol: str) -> tuple[Entity, ...]:
        """Return the scopes on this account that a bot's position in a symbol counts in."""
        found = self._groups.get((bot, symbol))
        if found is None:
            family = self.family(bot)
            own = (Entity(Scope.BOT, bot), Entity(Scope.SYMBOL, symbol))
            among = (Entity(Scope.FAMILY, family),) if family else ()
            found = self._groups[bot, symbol] = (self._facts.entity, *among, *own)
        return found

    def scopes(self, bot: str, symbol: str) -> tuple[Entity, ...]:
        """Return every scope whose limits an entry must keep, widest first."""
        return (FLEET, self._facts.venue_entity, *self.entities(bot, symbol))

    def known(self) -> list[Entity]:
        """Return every scope that can have limits: those of configured bots, and those that hold something."""
        if not self._configured:
            self._configured = {FLEET: None, self._facts.venue_entity: None, self._facts.entity: None}
            for bot, plan in self._settings.bots.items():
                if plan.enabled:
                    self._configured.update(dict.fromkeys(self.entities(bot, plan.symbol)))
        return list(self._configured | dict.fromkeys(self.reservations.entities()))

    def capital(self, bot: str) -> Decimal:
        """Return the money of a bot."""
        plan = self._settings.bots.get(bot)
        return (plan.capital if plan is not None else None) or self._settings.trading.capital

    # an entry's limits ----------------------------------------------------------------------------------------------

    def figures(self, bot: str, added: Added) -> Iterator[Figure]:
        """Measure every limit that an entry of a bot must keep."""
        share = self.share(added.symbol)
        for entity in self.scopes(bot, added.symbol):
            limits = self.limits.of(entity)
            if entity.scope is Scope.BOT:
                limits = (*limits, self._bot_cap(entity, added.symbol))
            around = self.uses.around(entity, (limit.measure for limit in limits), added)
            for limit, (before, after) in zip(limits, around, strict=True):
                # A limit that is broken already lets by what does not take it further.
                bound = self.bound(limit, share)
                beyond = limit.broken(after, bound)
                further = beyond and (limit.measure in LOSSES or limit.broken(after, before))
                yield Figure(limit, before, after, bound, further)
        yield from self._shared(added, share)

    def _shared(self, added: Added, scaled: Decimal) -> Iterator[Figure]:
        """Measure this account's own part of every limit that it has together with others.

        What the others do meanwhile has no say in it, so that no interleaving of two gateways breaks the whole.
        """
        for entity in (FLEET, self._facts.venue_entity):
            part = self.fleet.share(entity)
            limits = [limit for limit in self.limits.of(entity) if limit.measure in EXPOSURE | SUMMED]
            if part == WHOLE or not limits:
                continue
            around = self.uses.around(self._facts.entity, (limit.measure for limit in limits), added)
            for limit, (before, after) in zip(limits, around, strict=True):
                bound = self.bound(limit, scaled) * (part if limit.measure in SUMMED else WHOLE)
                own = replace(limit, origin=f"{limit.origin}, {part * 100:.4g} % of it for this account (risk.shares)")
                further = limit.broken(after, bound) and limit.broken(after, before)
                yield Figure(own, before, after, bound, further)

    def _bot_cap(self, entity: Entity, symbol: str) -> Limit:
        trading, instrument = self._settings.trading, self._facts.instrument(symbol)
        leverage = min(trading.max_leverage, instrument.max_leverage if instrument is not None else 1)
        most = self.capital(entity.name) * leverage
        return Limit(entity, Measure.GROSS, "bot_notional", most, "the bot's capital at full leverage")

    def bound(self, limit: Limit, share: Decimal = WHOLE) -> Decimal:
        """Return what an entry may reach: the first level that is given, shrunk where it bounds exposure."""
        return limit.first * share if share != WHOLE and limit.measure in EXPOSURE else limit.first

    def share(self, symbol: str) -> Decimal:
        """Return how much of the exposure limits an entry in a symbol may use now, in (0, 1]."""
        dynamic = self._settings.risk.dynamic
        share = WHOLE
        if dynamic.volatility_target_pct is not None:
            bar_s = timeframe_ns(self._settings.trading.timeframe) / NS
            share = volatility_share(dynamic, self.correlations.returns(symbol).daily_pct(bar_s))
        if dynamic.drawdown_max_pct is not None:
            curve = self.curves.of(self._facts.entity)
            share = min(share, drawdown_share(dynamic, curve.drawdown_pct if curve is not None else ZERO))
        return share

    def stale(self, now_s: float) -> list[str]:
        """Return the accounts whose figures are too old for a limit that counts them."""
        limit_s, found = self._settings.risk.fleet_stale_s, list[str]()
        for entity in (FLEET, self._facts.venue_entity):
            if self.fleet.others and self.limits.of(entity):
                found += self.fleet.stale(entity, now_s, limit_s)
        return sorted(set(found))

    # what happens ---------------------------------------------------------------------------------------------------

    def admitted(self, bot: str, symbol: str, ts_ns: int) -> None:
        """Count an order that was admitted."""
        self.market_ns = max(self.market_ns, ts_ns)
        self.rate.add(self.entities(bot, symbol), self.market_ns)

    def filled(self, fill: Fill, before: Position, after: Position, *, order_id: str = "") -> None:
        """Take a fill that was booked."""
        self.market_ns = max(self.market_ns, fill.ts_ns)
        self.reservations.hold(str(fill.bot), str(fill.symbol), after.size)
        self.reservations.book(str(fill.client_id), order_id or str(fill.order_id), fill.size)
        self.protections.filled(fill, before, after)

    def bar(self, symbol: str, timeframe: str, ts_ns: int, close: float) -> None:
        """Take a closed bar; ts_ns is its open time."""
        if timeframe == self._settings.trading.timeframe:
            self.correlations.hear(symbol, ts_ns, close)
        self.market_ns = max(self.market_ns, ts_ns + timeframe_ns(timeframe))
        self.rate.advance(self.market_ns)

    def mark(self, books: Iterable[tuple[tuple[str, str], Position]]) -> None:
        """Bring every equity curve up to the present prices."""
        profits: dict[Entity, Decimal] = {}
        for (bot, symbol), book in books:
            price = self._facts.mark(symbol) or book.entry
            profit = book.net + book.unrealised(price)
            for entity in self.entities(bot, symbol):
                profits[entity] = profits.get(entity, ZERO) + profit
        account = self._facts.entity
        money, total = self._facts.money(account), profits.get(account, ZERO)
        if self._base is None:
            if money <= 0:
                return
            self._base = money - total
        now = self.market_ns
        self.curves.mark(account, self._base + total, now)
        capitals = self._capitals
        for entity in {*profits, *capitals} - {account}:
            base = self._base if entity.scope is Scope.SYMBOL else capitals.get(entity, self._settings.trading.capital)
            equity = base + profits.get(entity, ZERO)
            self.curves.mark(entity, equity, now)
            if entity.scope is Scope.BOT:
                self.protections.mark(entity.name, now, equity)
        for entity in (FLEET, self._facts.venue_entity):
            if self.fleet.complete(entity):
                self.curves.mark(entity, self._base + total + self.fleet.equity(entity), now)

    def _capital_table(self) -> dict[Entity, Decimal]:
        """Return the money of every enabled bot, and of every family."""
        found: dict[Entity, Decimal] = {}
        for bot, plan in self._settings.bots.items():
            if plan.enabled:
                capital, family = self.capital(bot), Entity(Scope.FAMILY, self.family(bot))
                found[Entity(Scope.BOT, bot)] = capital
                found[family] = found.get(family, ZERO) + capital
        return found

    def money(self, entity: Entity) -> Decimal:
        """Return capital and profit of a bot or a family."""
        curve = self.curves.of(entity)
        if curve is not None:
            return curve.now
        return self._capitals.get(entity) or self.capital(entity.name)

    # people's changes -----------------------------------------------------------------------------------------------

    def change(self, change: Override, memory: Memory) -> None:
        """Put a person's limit into force and write it down."""
        self.limits.override(change)
        self._keep_overrides(memory)

    def restore(self, entity: Entity, measure: Measure, memory: Memory) -> bool:
        """Go back to what the settings say; False when nobody has changed it."""
        done = self.limits.restore(entity, measure)
        self._keep_overrides(memory)
        return done

    def expire(self, now_ns: int, memory: Memory) -> list[Override]:
        """End the changes whose time is over and return them."""
        over = self.limits.expire(now_ns)
        if over:
            self._keep_overrides(memory)
        return over

    # restarts -------------------------------------------------------------------------------------------------------

    def load(self, memory: Memory) -> None:
        """Take back equity, locks and people's limits, and write locks down from here on."""
        kept = json.loads(memory.get("risk.curves", "{}"))
        if kept:
            self._base = None if kept["base"] is None else Decimal(kept["base"])
            self.curves.load(kept["curves"])
        self.protections.load(json.loads(memory.get("risk.locks", "[]")))
        for row in json.loads(memory.get("risk.limits", "[]")):
            self.limits.override(_override_of(row))
        self.protections.on_lock = lambda _lock: memory.put("risk.locks", json.dumps(self.protections.dump()))

    def keep(self, memory: Memory) -> bool:
        """Write the equity curves down when a peak or a day has begun; True when there was something to write."""
        if not self.curves.dirty:
            return False
        base = None if self._base is None else str(self._base)
        memory.put("risk.curves", json.dumps({"base": base, "curves": self.curves.dump()}))
        return True

    def _keep_overrides(self, memory: Memory) -> None:
        memory.put("risk.limits", json.dumps([_override_row(change) for change in self.limits.overrides]))

    # what others count ----------------------------------------------------------------------------------------------

    def shared(self) -> tuple[SymbolUse, ...]:
        """Return what fleet limits count of this account."""
        table = self.uses.notionals(self._facts.entity)
        return tuple(SymbolUse(symbol, *row) for symbol, row in sorted(table.items()) if any(row))

    def lock_of(self, bot: str, symbol: str, bar_ts_ns: int) -> Lock | None:
        """Return the lock that keeps an entry out that was decided on a bar."""
        return self.protections.lock_of(bot, symbol, bar_ts_ns + self.protections.bar_ns(bot))


def deciding(figures: Iterable[Figure]) -> Figure | None:
    """Return the first limit that is broken, else the one that is used most."""
    most: Figure | None = None
    for figure in figures:
        if figure.broken:
            return figure
        if most is None or figure.share > most.share:
            most = figure
    return most


def _override_row(change: Override) -> list[Any]:
    levels = None if change.levels is None else change.levels.model_dump(mode="json")
    scope, name = change.entity
    return [scope.value, name, change.measure.value, levels, change.by, change.reason, change.ts_ns, change.until_ns]


def _override_of(row: list[Any]) -> Override:
    levels = None if row[3] is None else Levels.model_validate(row[3])
    return Override(Entity(Scope(row[0]), row[1]), Measure(row[2]), levels, row[4], row[5], row[6], row[7])


def _short(value: Decimal) -> Decimal:
    """Cut a figure to what a person reads; the comparison was made with all of it."""
    return round(min(value, SAFE), 6).normalize() + ZERO
