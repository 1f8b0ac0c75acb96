"""Parity: the same bars through the back-test and through the farm's processes must give the same trades, leg by leg.

Called by `omega check parity` with the session that a runner has recorded, and by the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import TypeAdapter

from omega.backtest.checks.causes import Kind, Scene, cause_of, late_by
from omega.backtest.checks.columns import relative
from omega.backtest.checks.differences import Difference, other_bar
from omega.backtest.checks.recorded import Recorded
from omega.backtest.checks.trips import Leg, legs_of_farm, legs_of_result
from omega.backtest.presets import OFF, Preset
from omega.backtest.types import Costs, FundingSeries, Market, Result, Steps
from omega.domain import Mode, iso, timeframe_ns
from omega.engine import Bars
from omega.engine import Settings as Rules
from omega.engine.adaptation import Adaptation
from omega.engine.profile import Profile
from omega.errors import CorruptData
from omega.plugins import parse_params, strategies

if TYPE_CHECKING:
    from omega.backtest.influences import Influences

_PRESET: Final = TypeAdapter(Preset)
_ADAPTS: Final = TypeAdapter(tuple[Adaptation, ...])
_CENTS: Final = 5e-7
"""Money may differ by the venue's own rounding, eight places, of the few amounts that make up a leg."""

_QUANTITIES: Final = ("side", "size", "entry_price", "exit_ns", "exit", "exit_price", "fee", "funding")
_MONEY: Final = frozenset({"fee", "funding"})
_EXACT: Final = frozenset({"side", "exit_ns", "exit"})
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Parity:
    """The outcome of one comparison.

    Attributes:
        bars: how many bars were decided on.
        trades: how many closed legs both have in common or either alone.
        open_legs: how many legs were still open at the end.
        differences: in the order of time.
    """

    bot: str
    strategy: str
    symbol: str
    bars: int
    trades: int
    open_legs: int
    differences: tuple[Difference, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no difference."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        found = Counter(one.kind for one in self.differences)
        return {
            "check": "parity",
            "bot": self.bot,
            "strategy": self.strategy,
            "symbol": self.symbol,
            "bars": self.bars,
            "trades": self.trades,
            "open_legs": self.open_legs,
            "ok": self.sound,
            "difference_count": len(self.differences),
            "classes": {kind.value: found[kind] for kind in Kind},
            "differences": [one.as_json() for one in self.differences],
        }


def check_parity(recorded: Recorded, bars: Bars, *, costs: Costs, funding: FundingSeries | None = None) -> Parity:
    """Back-test the bars that a session has decided on, and compare it with what the farm did.

    Args:
        recorded: the session of one bot.
        bars: the history as the data hold it; what lies outside of the session is cut off.
        costs: what the venue charges.
        funding: the rates that the venue settled.

    Raises:
        CorruptData: the bars do not reach back to the warm-up before the first decision.
    """
    span = stretch_of(recorded, bars)
    result = backtest_of(recorded, span, costs=costs, funding=funding)
    return compare(recorded, span, result, costs)


def stretch_of(recorded: Recorded, bars: Bars) -> Bars:
    """Return the bars that the runner had: from the oldest of its window at the first decision to the last decision.

    Raises:
        CorruptData: the bars do not hold that stretch.
    """
    last_ns = max(recorded.decisions)
    since = int(np.searchsorted(bars.ts, recorded.bars[0].ts_ns))
    first = int(np.searchsorted(bars.ts, recorded.first_ns))
    until = int(np.searchsorted(bars.ts, last_ns, side="right"))
    strategy = strategies.get(str(recorded.charter["strategy"]))
    need = strategy.warmup(parse_params(strategy.params, dict(recorded.charter["params"])))
    if first - since < need or until <= first:
        raise CorruptData(
            f"the data hold {first - since} bars before {iso(recorded.first_ns)} and {until - first} from there on; "
            f"{strategy.name} needs {need} before: give data that cover the session"
        )
    return bars.prefix(until).since(since)


def backtest_of(recorded: Recorded, bars: Bars, *, costs: Costs, funding: FundingSeries | None = None) -> Result:
    """Back-test a stretch by the very charter of a session."""
    from omega.backtest.run import backtest

    charter, instrument = recorded.charter, recorded.instrument
    strategy = strategies.get(str(charter["strategy"]))
    rules = Rules(
        risk=float(charter["risk"]),
        max_leverage=int(charter["max_leverage"]),
        max_notional=float(charter["max_notional"]),
        maintenance=float(instrument.maintenance),
        live=charter["mode"] == Mode.LIVE,
    )
    market = Market(
        symbol=str(charter["symbol"]),
        bars=bars,
        timeframe_ns=timeframe_ns(str(charter["timeframe"])),
        funding=funding,
        steps=Steps(
            float(instrument.price_step),
            float(instrument.size_step),
            float(instrument.min_size),
            float(instrument.min_notional),
        ),
        maintenance=float(instrument.maintenance),
    )
    return backtest(
        strategy,
        parse_params(strategy.params, dict(charter["params"])),
        market,
        capital=float(charter["capital"]),
        rules=rules,
        costs=costs,
        warmup=int(np.searchsorted(bars.ts, recorded.first_ns)),
        influences=_influences(charter, bars),
    )


def _influences(charter: Mapping[str, Any], bars: Bars) -> Influences | None:
    """Return what the charter holds of psychology and cosmic factors, by its values; None when it holds neither."""
    profile, preset = charter.get("profile"), charter.get("preset")
    if profile is None and preset is None:
        return None
    from omega.backtest.influences import load_influences

    return load_influences(
        OFF if profile is None else parse_params(Profile, profile),
        OFF if preset is None else _PRESET.validate_python(preset),
        bars.ts,
        timeframe_ns=timeframe_ns(str(charter["timeframe"])),
        live=charter["mode"] == Mode.LIVE,
        adapts=_ADAPTS.validate_python(charter.get("adapts", ())),
    )


def compare(recorded: Recorded, bars: Bars, result: Result, costs: Costs) -> Parity:
    """Compare a back-test with a session, leg by leg, and name the class of every difference."""
    farm, test = legs_of_farm(recorded), legs_of_result(result)
    data = other_bar(recorded, bars)
    scene = Scene(recorded, bars, costs, data.ts_ns if data else 0)
    found = [data] if data else []
    for difference in _legs(scene, farm, test):
        found.append(_follows(difference, found))
    closed = {(leg.entry_ns, leg.leg) for leg in [*farm, *test] if not leg.open}
    return Parity(
        bot=str(recorded.charter["bot"]),
        strategy=str(recorded.charter["strategy"]),
        symbol=str(recorded.charter["symbol"]),
        bars=recorded.decided,
        trades=len(closed),
        open_legs=sum(leg.open for leg in farm),
        differences=tuple(sorted(found, key=lambda one: one.ts_ns)),
    )


def _follows(difference: Difference, before: Sequence[Difference]) -> Difference:
    """Let a difference of unknown cause follow from the first one: a book that differs once sizes everything anew."""
    earlier = [one for one in before if one.ts_ns <= difference.ts_ns]
    if difference.kind is not Kind.CODE or not earlier:
        return difference
    first = min(earlier, key=lambda one: one.ts_ns)
    return replace(difference, kind=first.kind, cause=f"follows from the difference at {iso(first.ts_ns)}")


def _legs(scene: Scene, farm: Sequence[Leg], test: Sequence[Leg]) -> Iterator[Difference]:
    ours, theirs = _by_entry(farm), _by_entry(test)
    late: set[int] = set()
    for entry_ns in sorted({*ours, *theirs}):
        mine, other = ours.get(entry_ns, []), theirs.get(entry_ns, [])
        if mine and other:
            yield from _pairs(scene, mine, other)
        elif other:
            behind = late_by(scene, other[0], {ns: legs for ns, legs in ours.items() if ns not in theirs})
            late |= {behind} if behind else set()
            yield _lone(scene, other, None, behind)
        elif entry_ns not in late:
            yield _lone(scene, mine, "farm", 0)


def _by_entry(legs: Iterable[Leg]) -> Mapping[int, list[Leg]]:
    found: dict[int, list[Leg]] = {}
    for leg in legs:
        found.setdefault(leg.entry_ns, []).append(leg)
    return found


def _pairs(scene: Scene, farm: Sequence[Leg], test: Sequence[Leg]) -> Iterator[Difference]:
    if len(farm) != len(test):
        kind, cause = cause_of(scene, "legs", farm[0], test[0])
        yield Difference(kind, farm[0].entry_ns, -1, "legs", str(len(farm)), str(len(test)), cause)
        return
    for one, other in zip(farm, test, strict=True):
        name = _first_quantity(one, other)
        if name:
            kind, cause = cause_of(scene, name, one, other)
            ts = one.entry_ns if name in {"side", "size", "entry_price"} else (one.exit_ns or other.exit_ns)
            yield Difference(kind, ts or one.entry_ns, one.leg, name, _shown(name, one), _shown(name, other), cause)


def _first_quantity(one: Leg, other: Leg) -> str:
    """Return the first quantity in which two legs differ, empty when they are equal."""
    for name in _QUANTITIES:
        left, right = getattr(one, name), getattr(other, name)
        if name in _EXACT:
            differs = left != right
        elif name in _MONEY:
            # While a leg is open its exit's fee is not due, and the end of history closes it in the back-test alone.
            differs = not one.open and abs(left - right) > _CENTS
        else:
            differs = not (one.open and name == "exit_price") and float(relative(left, right)) > _TOLERANCE
        if differs:
            return name
    return ""


def _lone(scene: Scene, legs: Sequence[Leg], where: str | None, behind: int) -> Difference:
    """Return the difference of an entry that only one side has; `behind` is when the farm made it after all."""
    leg = legs[0]
    if where == "farm":
        kind, cause = cause_of(scene, "entry", leg, None)
        return Difference(kind, leg.entry_ns, -1, "entry", _entry(leg), "none", cause)
    kind, cause = cause_of(scene, "entry", None, leg)
    if behind:
        kind, cause = Kind.LATENCY, "the farm's order was filled bars later than its decision: an intent came late"
    return Difference(kind, leg.entry_ns, -1, "entry", iso(behind) if behind else "none", _entry(leg), cause)


def _entry(leg: Leg) -> str:
    return f"{'long' if leg.side > 0 else 'short'} {leg.size:g} at {leg.entry_price:g}"


def _shown(name: str, leg: Leg) -> str:
    value = getattr(leg, name)
    if name == "exit_ns":
        return iso(value) if value else "open"
    return str(value) or "open"
