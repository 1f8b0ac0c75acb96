"""What people ask the gate and tell it: show, what-if, headroom, limit, halt, release. Behind `omega risk`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import ValidationError

from omega.bus.messages import Command, Scalar
from omega.config import Levels, ScopeLimits
from omega.domain import Action, BotName, Instrument, Intent, IntentId, Side, iso
from omega.domain import ids as _ids
from omega.errors import Denied, Rejected
from services.gateway.account import Account
from services.gateway.halt import Level
from services.gateway.risk.gate import Figure, deciding
from services.gateway.risk.limits import EACH, Limit, Override
from services.gateway.risk.measures import SAFE, Added
from services.gateway.risk.monitor import Monitor
from services.gateway.risk.rules import Asked, added, findings
from services.gateway.risk.scopes import Entity, Measure, Scope

ZERO: Final = Decimal(0)
_AWAY: Final = Decimal("0.01")
"""How far from the price the stop of a hypothetical entry stands when none is given."""

Params = Mapping[str, Scalar]


class RiskDesk:
    """Answers for one account."""

    def __init__(self, account: Account, monitor: Monitor, ask: Callable[[Intent], Asked]) -> None:
        self._account = account
        self._gate = account.risk
        self._monitor = monitor
        self._ask = ask

    # questions ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, params: Params) -> object:
        """Answer `risk.show`, `risk.what_if` or `risk.headroom`.

        Raises:
            Rejected: there is no such question, or it names what does not exist.
        """
        match method:
            case "risk.show":
                return self.show()
            case "risk.what_if":
                return self.what_if(params)
            case "risk.headroom":
                return self.headroom(params)
        raise Rejected(f"the gate answers risk.show, risk.what_if and risk.headroom, not {method!r}", kind="BUG")

    def show(self) -> dict[str, object]:
        """Return limits with use and headroom, reservations, halts, blocks, locks, people's changes."""
        account, gate = self._account, self._gate
        gate.mark(account.books.items())
        rows = [self._row(limit, use, bound) for limit, use, bound in self._monitor.uses()]
        halts = [
            {
                "scope": latch.entity.scope.value,
                "name": latch.entity.name,
                "level": latch.level.value,
                "reason": latch.reason,
                "by": latch.by,
                "since": iso(latch.ts_ns) if latch.ts_ns else "",
            }
            for latch in account.halt.latches
        ]
        if account.halt.active and not any(row["scope"] == "account" for row in halts):
            halts.append(
                {
                    "scope": "account",
                    "name": account.name,
                    "level": "reduce_only",
                    "reason": account.halt.reason,
                    "by": "halt file",
                    "since": "",
                }
            )
        return {
            "venue": account.venue_name,
            "account": account.name,
            "equity": str(account.balance.equity),
            "market_time": iso(gate.market_ns),
            "limits": rows,
            "reservations": [
                {
                    "client_id": claim.client_id,
                    "bot": claim.bot,
                    "symbol": claim.symbol,
                    "side": "buy" if claim.sign > 0 else "sell",
                    "role": "entry" if claim.entry else "exit",
                    "size": str(claim.rest),
                    "state": claim.state.value,
                }
                for claim in gate.reservations.reserved()
            ],
            "halts": halts,
            "blocks": [
                f"{row['scope']} {row['name']}: {row['measure']} is used up ({row['origin']})"
                for row in rows
                if row["blocked"]
            ],
            "locks": [
                {**asdict(lock), "until": iso(lock.until_ns)} for lock in gate.protections.active(gate.market_ns)
            ],
            "changes": [self._change_row(change) for change in gate.limits.overrides],
            "shares": {symbol: str(gate.share(symbol)) for symbol in account.settings.gateway.symbols},
            "others": list(gate.fleet.others),
        }

    def what_if(self, params: Params) -> dict[str, object]:
        """Judge an entry without sending it: every rule and limit that it breaks, and every figure.

        Raises:
            Rejected: the entry names a bot or a symbol that does not exist, or a number that is none.
        """
        intent = self._intent(params, self._decimal(params, "size"))
        against = findings(self._ask(intent), self._account)
        figures = list(self._gate.figures(intent.bot, added(intent, self._account)))
        first = deciding(figures)
        return {
            "allowed": not against,
            "bot": intent.bot,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "size": str(intent.size),
            "price": str(intent.ref_price),
            "stop": str(intent.stop),
            "findings": [{"rule": rule, "words": words} for rule, words in against],
            "decides": self._figure_row(first) if first is not None else None,
            "figures": [self._figure_row(figure) for figure in figures],
        }

    def headroom(self, params: Params) -> dict[str, object]:
        """Return the largest entry that every limit allows now, what bounds it, and what else is against one.

        Raises:
            Rejected: it names a bot or a symbol that does not exist.
        """
        intent = self._intent(params, ZERO)
        instrument = self._instrument(intent.symbol)
        cap = self._account.settings.trading.max_order_notional / intent.ref_price
        fits, bounded = self._largest(intent, instrument, cap)
        sized = self._intent(params, max(fits, instrument.size_step))
        limits = {figure.limit.rule for figure in self._gate.figures(intent.bot, added(sized, self._account))}
        against = [f for f in findings(self._ask(sized), self._account) if f[0] not in limits]
        return {
            "bot": intent.bot,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "price": str(intent.ref_price),
            "size": str(fits),
            "notional": str(fits * intent.ref_price),
            "bounded_by": bounded,
            "findings": [{"rule": rule, "words": words} for rule, words in against],
        }

    def _largest(self, intent: Intent, instrument: Instrument, cap: Decimal) -> tuple[Decimal, str]:
        """Return the largest size in steps that breaks no limit (found by halving), and what stands above it."""
        step, most = instrument.size_step, int(cap / instrument.size_step)

        def broken(steps: int) -> Figure | None:
            entry = Added(intent.symbol, intent.side.sign, steps * step, intent.ref_price)
            return next((figure for figure in self._gate.figures(intent.bot, entry) if figure.broken), None)

        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            if broken(middle) is None:
                low = middle
            else:
                high = middle
        above = broken(low + 1)
        if above is None or low == most:
            return low * step, "trading.max_order_notional"
        return low * step, f"{above.limit.entity}: {above.limit.measure} ({above.limit.origin})"

    # orders of people -----------------------------------------------------------------------------------------------

    def limit(self, command: Command) -> str:
        """Change one limit, take it away (`none`) or give it back to the settings (`default`); return what was done.

        Raises:
            Denied: no reason, no such limit, or levels that contradict each other.
        """
        self._reasoned(command)
        entity, params = self._entity(command.params), command.params
        measure = self._measure(str(params.get("measure", "")))
        value, level = str(params.get("value", "")), str(params.get("level", "block"))
        before = self._written(entity, measure)
        journal = self._account.journal
        if value == "default":
            done = self._gate.restore(entity, measure, journal)
            after = self._written(entity, measure)
            return (
                f"{entity}: {measure} {_say(before)} -> {_say(after)} (settings)" if done else "nobody has changed it"
            )
        levels = None if value == "none" else self._levels(entity, measure, level, value, before)
        until_ns = int(params.get("until_ns", 0))
        change = Override(entity, measure, levels, command.actor, command.reason, self._account.clock(), until_ns)
        self._gate.change(change, journal)
        ends = f" until {iso(until_ns)}" if until_ns else ""
        return f"{entity}: {measure} {_say(before)} -> {_say(levels)}{ends}"

    def halt(self, command: Command) -> str:
        """Halt the entries of a scope; with the level flatten its positions are closed too.

        Raises:
            Denied: there is no such scope, name or level.
        """
        entity = self._entity(command.params)
        try:
            level = Level(str(command.params.get("level", Level.REDUCE_ONLY)))
        except ValueError:
            raise Denied(f"a halt's level is {' or '.join(Level)}", rule="level") from None
        why = f"{command.verb} by {command.actor}: {command.reason or 'no reason given'}"
        account = self._account
        if not account.halt.set(why, by=command.actor, ts_ns=account.clock(), entity=entity, level=level):
            return f"{entity} was halted already"
        return f"entries of {entity} are halted, stops stay" + (
            "; its positions are being closed" if level is Level.FLATTEN else ""
        )

    def release(self, command: Command) -> str:
        """Lift the halt of a scope; losses count anew from here.

        Raises:
            Denied: no reason is named, or there is no such scope or name.
        """
        self._reasoned(command)
        entity, account = self._entity(command.params), self._account
        account.risk.mark(account.books.items())
        freed = account.halt.release(command.reason, by=command.actor, ts_ns=account.clock(), entity=entity)
        left = [str(latch.entity) for latch in account.halt.latches]
        still = f"; still halted: {', '.join(left)}" if left else ""
        return (f"entries of {entity} are free" if freed else f"{entity} was not halted") + still

    def concerns(self, command: Command) -> bool:
        """Tell whether a command to the gates is meant for this account."""
        scope, name = str(command.params.get("scope", Scope.ACCOUNT)), str(command.params.get("name", ""))
        own = {Scope.ACCOUNT.value: self._account.name, Scope.VENUE.value: self._account.venue_name}
        return name in {"", own.get(scope, name)}

    # how ------------------------------------------------------------------------------------------------------------

    def _row(self, limit: Limit, use: Decimal, bound: Decimal) -> dict[str, Any]:
        scope, name = limit.entity
        figure = Figure(limit, use, use, bound, broken=False)
        under = limit.measure is Measure.LIQUIDATION
        return {
            "scope": scope.value,
            "name": name,
            "measure": limit.measure.value,
            "use": _text(use),
            "bound": _text(bound),
            "headroom": _text(max(use - bound if under else bound - use, ZERO)),
            "used_pct": float(round(min(figure.share, Decimal(10)) * 100, 2)),
            "reduce_only": _text(limit.reduce_only),
            "flatten": _text(limit.flatten),
            "origin": limit.origin,
            "blocked": limit.broken(use, bound) or (use == bound and not under),
        }

    def _figure_row(self, figure: Figure) -> dict[str, object]:
        verdict = figure.verdict()
        return {
            "scope": verdict.scope,
            "name": verdict.name,
            "measure": verdict.measure,
            "broken": figure.broken,
            "before": _text(verdict.before),
            "after": _text(verdict.after),
            "bound": _text(verdict.bound),
            "origin": figure.limit.origin,
        }

    def _change_row(self, change: Override) -> dict[str, object]:
        return {
            "scope": change.entity.scope.value,
            "name": change.entity.name,
            "measure": change.measure.value,
            "levels": _say(change.levels),
            "by": change.by,
            "reason": change.reason,
            "since": iso(change.ts_ns),
            "until": iso(change.until_ns) if change.until_ns else "",
        }

    def _intent(self, params: Params, size: Decimal) -> Intent:
        account, bot = self._account, str(params.get("bot", ""))
        plan = account.settings.bots.get(bot)
        if plan is None:
            raise Rejected(f"no bot is called {bot!r}; configured are {', '.join(sorted(account.settings.bots))}")
        symbol = str(params.get("symbol", "") or plan.symbol)
        instrument = self._instrument(symbol)
        price = self._decimal(params, "price") if params.get("price") else account.price(symbol)
        if price <= 0:
            raise Rejected(f"no price of {symbol} is known yet; name one with --price")
        side = Side(str(params.get("side", "buy")))
        away = price * (1 - _AWAY * side.sign)
        stop = self._decimal(params, "stop") if params.get("stop") else instrument.price(away)
        timeframe = plan.timeframe or account.settings.trading.timeframe
        return Intent(
            intent_id=IntentId(f"{bot}:0:what-if"),
            bot=BotName(bot),
            venue=_ids.VenueName(account.venue_name),
            account=_ids.AccountName(account.name),
            symbol=_ids.Symbol(symbol),
            action=Action.ENTER,
            side=side,
            size=size,
            bar_ts_ns=account.newest_bar_ns.get((symbol, timeframe), 0),
            ref_price=price,
            stop=stop,
            leverage=int(params.get("leverage", 1)),
        )

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self._account.instrument(symbol)
        if instrument is None:
            raise Rejected(f"{symbol} is not traded on {self._account.venue_name}; see gateway.symbols")
        return instrument

    def _decimal(self, params: Params, name: str) -> Decimal:
        try:
            number = Decimal(str(params.get(name, "")))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number <= 0:
            raise Rejected(f"{name} {params.get(name, '')!r} is no number above 0")
        return number

    def _entity(self, params: Params) -> Entity:
        account, name = self._account, str(params.get("name", ""))
        try:
            scope = Scope(str(params.get("scope", Scope.ACCOUNT)))
        except ValueError:
            raise Denied(f"there is no such scope; there are {', '.join(Scope)}", rule="scope") from None
        fixed = {Scope.FLEET: "", Scope.VENUE: account.venue_name, Scope.ACCOUNT: account.name}
        if scope in fixed:
            return Entity(scope, fixed[scope])
        bots = account.settings.bots
        known = {
            Scope.BOT: set(bots),
            Scope.FAMILY: {account.risk.family(bot) for bot in bots},
            Scope.SYMBOL: set(account.venue.instruments),
        }[scope]
        if name not in known | {EACH}:
            shown = ", ".join(sorted(known)[:12])
            raise Denied(f"no {scope} is called {name!r}; there are {shown}", rule="name")
        return Entity(scope, name)

    def _measure(self, name: str) -> Measure:
        try:
            return Measure(name)
        except ValueError:
            raise Denied(f"there is no measure {name!r}; there are {', '.join(Measure)}", rule="measure") from None

    def _written(self, entity: Entity, measure: Measure) -> Levels | None:
        change = self._gate.limits.changed(entity, measure)
        if change is not None:
            return change.levels
        section = self._gate.limits.section(entity)
        levels: Levels | None = getattr(section, measure.value) if section is not None else None
        return levels

    def _levels(self, entity: Entity, measure: Measure, level: str, value: str, before: Levels | None) -> Levels:
        if level not in Levels.model_fields:
            raise Denied(f"there is no level {level!r}; there are {', '.join(Levels.model_fields)}", rule="level")
        if measure is Measure.LIQUIDATION and entity.scope not in {Scope.ACCOUNT, Scope.SYMBOL}:
            raise Denied("liquidation_distance_pct is a limit of account or symbol", rule="measure")
        kept = before.model_dump() if before is not None else {}
        try:
            section = ScopeLimits.model_validate({measure.value: {**kept, level: Decimal(value)}})
        except (ValidationError, InvalidOperation) as error:
            words = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else "no number"
            raise Denied(f"{measure} {level} {value!r} was refused: {words}", rule="value") from None
        levels: Levels = getattr(section, measure.value)
        return levels

    def _reasoned(self, command: Command) -> None:
        if not command.reason.strip():
            raise Denied(f"a {command.verb} names its reason", rule="reason")


def _text(value: Decimal | None) -> str | None:
    if value is None:
        return None
    return "unbounded" if value >= SAFE else f"{round(value, 6).normalize() + ZERO:f}"


def _say(levels: Levels | None) -> str:
    if levels is None:
        return "no limit"
    given = {name: getattr(levels, name) for name in Levels.model_fields}
    return ", ".join(f"{name} {_text(level)}" for name, level in given.items() if level is not None) or "no limit"
