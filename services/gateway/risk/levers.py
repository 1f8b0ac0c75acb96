"""What people tell the gate: change a limit, halt a scope, release it. Behind `omega risk`; called by the commands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from pydantic import ValidationError

from omega.bus.messages import Command, Scalar
from omega.config import Levels, ScopeLimits
from omega.domain import iso
from omega.errors import Denied
from services.gateway.account import Account
from services.gateway.halt import Level
from services.gateway.risk.limits import EACH, Override
from services.gateway.risk.measures import SAFE
from services.gateway.risk.scopes import Entity, Measure, Scope

ZERO: Final = Decimal(0)


class Levers:
    """Carries out what people tell the gate of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._gate = account.risk

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
            return f"{entity}: {measure} {say(before)} -> {say(after)} (settings)" if done else "nobody has changed it"
        levels = None if value == "none" else self._levels(entity, measure, level, value, before)
        until_ns = int(params.get("until_ns", 0))
        change = Override(entity, measure, levels, command.actor, command.reason, self._account.clock(), until_ns)
        self._gate.change(change, journal)
        ends = f" until {iso(until_ns)}" if until_ns else ""
        return f"{entity}: {measure} {say(before)} -> {say(levels)}{ends}"

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

    def _entity(self, params: Mapping[str, Scalar]) -> Entity:
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


def text_of(value: Decimal | None) -> str | None:
    """Return a figure as people read it."""
    if value is None:
        return None
    return "unbounded" if value >= SAFE else f"{round(value, 6).normalize() + ZERO:f}"


def say(levels: Levels | None) -> str:
    """Return the levels of a limit in words."""
    if levels is None:
        return "no limit"
    given = {name: getattr(levels, name) for name in Levels.model_fields}
    return ", ".join(f"{name} {text_of(level)}" for name, level in given.items() if level is not None) or "no limit"
