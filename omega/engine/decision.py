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
from omega.engine.sizing import entry_size
from omega.errors import ConfigError

_OWN_RULES: Final = ("sizing", "flip", "time_limit", "trail")


class Sizing(StrEnum):
    """How the size of an entry is found: from the risk at the stop, the whole equity once, or the benchmark's all-in.

    All-in is for back-tests: the whole equity at the fill price, fee included, under no cap, with stop and targets at
    their distance from the fill. It overrules what the strategy's parameters say.
    """

    RISK = "risk"
    FULL = "full"
    ALL_IN = "all_in"


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
        if self.sizing is Sizing.ALL_IN:
            own.pop("sizing", None)
        if "sizing" in own:
            own["sizing"] = Sizing(own["sizing"])
        return replace(self, **own) if own else self


@lru_cache(maxsize=64)
def rules_for(settings: Settings, params: object) -> Settings:
    """Return `settings.under(params)`, made once for a pair that stays the same bar after bar."""
    return settings.under(params)


Terms = tuple[int, float, float, float, float, float, float, float, float, bool]
"""What `entry_size` goes by, as it takes it."""

_SIZINGS: Final = (Sizing.RISK, Sizing.FULL, Sizing.ALL_IN)


@lru_cache(maxsize=64)
def terms_of(settings: Settings) -> Terms:
    """Return the sizing rules of the settings as the kernel takes them."""
    return (
        _SIZINGS.index(settings.sizing),
        settings.risk,
        float(settings.max_leverage),
        settings.max_notional,
        settings.reserve,
        settings.buffer,
        settings.maintenance,
        settings.taker,
        settings.min_confidence,
        settings.require_stop,
    )


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
    fault, size, leverage, wanted = entry_size(
        terms_of(settings),
        decision.side,
        decision.price,
        decision.stop,
        decision.size,
        decision.confidence,
        float(decision.leverage),
        context.book.equity,
    )
    if fault:
        return _dropped(decision, _fault(fault, decision, context, settings))
    sized = replace(decision, size=size, leverage=int(leverage))
    if size >= wanted:
        return sized
    why = "capped by leverage, notional or the distance to liquidation"
    return replace(sized, audit=(*decision.audit, AuditEntry("sizing", "size", wanted, size, why)))


def _fault(fault: int, decision: Decision, context: Context, settings: Settings) -> str:
    return (
        f"confidence {decision.confidence:.3f} is below {settings.min_confidence:.3f}",
        "an entry without a stop on the losing side of the price is never sent",
        f"no size is left at an equity of {context.book.equity:.2f}",
    )[fault - 1]


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
