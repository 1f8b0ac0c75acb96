"""The decision pipeline after the strategy: psychology, cosmic, risk sizing, in this order and no other.

Called by the engine's step once a bar. A stage takes a decision and returns one: the very object it was given when it
changes nothing, otherwise a new one with an audit entry for each change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol

from omega.domain import AuditEntry, Decision, Reading
from omega.engine.portfolio import Book
from omega.engine.sizing import full_size, risk_size, safe_leverage, size_caps
from omega.errors import ConfigError

_OWN_RULES: Final = ("sizing", "flip", "time_limit", "trail")


class Sizing(StrEnum):
    """How the size of an entry is found: from the risk at the stop, or the whole equity once."""

    RISK = "risk"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Context:
    """What an interceptor may look at besides the decision.

    Units: price in quote currency, the close of the bar; readings as the cosmic service published them.
    """

    bar_ts_ns: int
    price: float
    book: Book
    readings: tuple[Reading, ...] = ()


class Interceptor(Protocol):
    """A stage between strategy and sizing; it changes a decision with `amend` or returns it as it is."""

    def __call__(self, decision: Decision, context: Context) -> Decision:
        """Return the same decision, or an amended one."""
        ...


def identity(decision: Decision, context: Context) -> Decision:  # noqa: ARG001 - the signature of an interceptor
    """Leave a decision alone, as a disabled interceptor does."""
    return decision


@dataclass(frozen=True, slots=True)
class Settings:
    """The rules around a strategy, the same for every bar.

    Units: risk a fraction of the equity lost at the stop; max_leverage a multiple; max_notional in quote currency, 0.0
        for none; reserve the fraction of the equity left unused; buffer the part of the stop distance that must lie
        between stop and liquidation; min_confidence in [0, 1]; time_limit in bars, 0 for never; trail a fraction of
        the entry price, 0.0 for none. `live` lets the interceptors shrink risk only; `require_stop` drops an entry
        without a stop.
    """

    sizing: Sizing = Sizing.RISK
    risk: float = 0.01
    max_leverage: int = 3
    max_notional: float = 0.0
    reserve: float = 0.02
    buffer: float = 0.5
    maintenance: float = 0.004
    taker: float = 0.0006
    min_confidence: float = 0.0
    time_limit: int = 0
    trail: float = 0.0
    flip: bool = False
    require_stop: bool = True
    live: bool = True
    psychology: Interceptor = identity
    cosmic: Interceptor = identity

    def __post_init__(self) -> None:
        bounds = {
            "risk": (0.0, 0.1),
            "max_leverage": (1, 125),
            "max_notional": (0.0, float("inf")),
            "reserve": (0.0, 0.9),
            "buffer": (0.0, 10.0),
            "maintenance": (0.0, 0.5),
            "taker": (0.0, 0.1),
            "min_confidence": (0.0, 1.0),
            "time_limit": (0, 10**9),
            "trail": (0.0, 0.9),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} = {value} lies outside {low} to {high}; choose a value inside")

    def under(self, params: object) -> Settings:
        """Return the settings with what the strategy's own parameters say: sizing, flip, time_limit, trail."""
        own = {name: getattr(params, name) for name in _OWN_RULES if hasattr(params, name)}
        if "sizing" in own:
            own["sizing"] = Sizing(own["sizing"])
        return replace(self, **own) if own else self


@lru_cache(maxsize=64)
def rules_for(settings: Settings, params: object) -> Settings:
    """Return `settings.under(params)`, made once for a pair that stays the same bar after bar."""
    return settings.under(params)


def amend(decision: Decision, stage: str, why: str, **fields: Any) -> Decision:
    """Return the decision with changed fields and an audit entry for each, or the same object when nothing differs."""
    changed = {name: value for name, value in fields.items() if getattr(decision, name) != value}
    if not changed:
        return decision
    entries = [
        AuditEntry(stage, name, _figure(getattr(decision, name)), _figure(value), why)
        for name, value in changed.items()
    ]
    return replace(decision, **changed, audit=(*decision.audit, *entries))


def run_stages(draft: Decision, context: Context, settings: Settings) -> Decision:
    """Take the strategy's draft through psychology, cosmic and sizing.

    In the draft `size` is the share of the full size (1.0 as the strategy leaves it), so that an interceptor scales it;
    sizing turns it into base units.
    """
    thought = _intercept(draft, context, "psychology", settings.psychology, live=settings.live)
    moved = _intercept(thought, context, "cosmic", settings.cosmic, live=settings.live)
    if moved.exit and context.book.side == 0:
        moved = replace(moved, exit=False)
    if moved.side:
        return size_entry(moved, context, settings)
    return replace(moved, size=0.0, stop=0.0, targets=(), leverage=1) if draft.side else moved


def size_entry(decision: Decision, context: Context, settings: Settings) -> Decision:
    """Give an entry its size and leverage, or drop it with the reason in the audit."""
    side, price, distance = decision.side, decision.price, _stop_distance(decision)
    if decision.confidence < settings.min_confidence:
        return _dropped(decision, f"confidence {decision.confidence:.3f} is below {settings.min_confidence:.3f}")
    if settings.require_stop and distance <= 0.0:
        return _dropped(decision, "an entry without a stop on the losing side of the price is never sent")
    equity, rate = context.book.equity, settings.maintenance + settings.taker
    most = float(min(settings.max_leverage, decision.leverage))
    leverage = int(safe_leverage(side, price, distance, most, settings.buffer, rate))
    cap = size_caps(equity, price, float(leverage), settings.reserve, settings.max_notional)
    if settings.sizing is Sizing.FULL:
        wanted = equity / price * decision.size
        size = full_size(side, equity * decision.size, price, distance, cap, settings.buffer, rate)
    else:
        risk = settings.risk * decision.size
        wanted = equity * risk / distance if distance > 0.0 else 0.0
        size = risk_size(side, equity, price, distance, risk, cap, settings.buffer, rate)
    if size <= 0.0:
        return _dropped(decision, f"no size is left at an equity of {equity:.2f}")
    sized = replace(decision, size=size, leverage=leverage)
    if size >= wanted:
        return sized
    why = "capped by leverage, notional or the distance to liquidation"
    return replace(sized, audit=(*decision.audit, AuditEntry("sizing", "size", wanted, size, why)))


def shrink_only(before: Decision, after: Decision, stage: str) -> Decision:
    """Undo whatever an interceptor did that adds risk: bigger, more leverage, a wider stop, another side, no exit."""
    if after is before:
        return before
    side = after.side if after.side in {0, before.side} else before.side
    return amend(
        after,
        stage,
        "in live mode a stage may only shrink risk",
        side=side,
        exit=before.exit or after.exit,
        size=max(0.0, min(before.size, after.size)),
        leverage=max(1, min(before.leverage, after.leverage)),
        stop=_tighter(before, after),
        confidence=min(before.confidence, after.confidence),
    )


def _intercept(decision: Decision, context: Context, stage: str, run: Interceptor, *, live: bool) -> Decision:
    after = run(decision, context)
    return shrink_only(decision, after, stage) if live else after


def _tighter(before: Decision, after: Decision) -> float:
    if after.stop <= 0.0 or before.stop <= 0.0:
        return max(before.stop, after.stop)
    return max(before.stop, after.stop) if before.side >= 0 else min(before.stop, after.stop)


def _stop_distance(decision: Decision) -> float:
    return decision.side * (decision.price - decision.stop) if decision.stop > 0.0 else 0.0


def _dropped(decision: Decision, why: str) -> Decision:
    entry = AuditEntry("sizing", "side", float(decision.side), 0.0, why)
    reason = decision.reason if decision.exit else "dropped"
    audit = (*decision.audit, entry)
    return replace(decision, side=0, size=0.0, stop=0.0, targets=(), leverage=1, audit=audit, reason=reason)


def _figure(value: object) -> float:
    """Return the figure of a field that the audit shows: itself, or the first target's price."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, tuple) and value:
        return float(value[0][0])
    return 0.0
