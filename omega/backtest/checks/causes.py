"""Why the farm and a back-test differ: data, fill, latency, config or code, from the evidence of one leg.

Called by the check of parity for every difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from omega.backtest.checks.recorded import Recorded
from omega.backtest.checks.trips import Leg
from omega.backtest.types import Costs
from omega.bus import OrderEvent
from omega.domain import OrderState, iso, timeframe_ns
from omega.engine import Bars

_LATE_RULES: Final = frozenset({"deadline", "stale"})
_LATEST: Final = 10
"""Bars after which an entry is no longer the late fill of another."""

_RATE: Final = 1e-7
_TICKS: Final = 1.5
"""Beyond so many ticks a price is no matter of rounding."""


class Kind(StrEnum):
    """The classes of difference, by who has to act."""

    DATA = "data"
    """The bars differ: look at the files, the gateway, the bus."""
    FILL = "fill"
    """The same order filled otherwise: look at the fill rules of venue and kernel."""
    LATENCY = "latency"
    """The farm was late: look at the bus, the gateway's deadline, the venue."""
    CONFIG = "config"
    """Fees, slippage, steps or limits differ: look at the settings."""
    CODE = "code"
    """The decisions differ: look at the strategy, the engine, the runner."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a cause is looked for in. `data_ns` is the bar from which on the data differ, 0 when they do not."""

    recorded: Recorded
    bars: Bars
    costs: Costs
    data_ns: int

    @property
    def length(self) -> int:
        """The length of a bar in ns."""
        return timeframe_ns(str(self.recorded.charter["timeframe"]))

    def open_at(self, ts_ns: int) -> float:
        """Return the open of a bar, 0.0 when there is none."""
        row = int(np.searchsorted(self.bars.ts, ts_ns))
        known = row < self.bars.n and int(self.bars.ts[row]) == ts_ns
        return float(self.bars.open[row]) if known else 0.0

    def orders_of(self, bar_ts_ns: int) -> list[OrderEvent]:
        """Return what became of the orders that were decided on a bar."""
        return [event for event in self.recorded.orders if event.bar_ts_ns == bar_ts_ns]


def cause_of(scene: Scene, quantity: str, farm: Leg | None, test: Leg | None) -> tuple[Kind, str]:
    """Return the class of a difference and its likely cause; one of the two legs is there at least."""
    if farm is None or test is None:
        kind, cause = _lone(scene, farm, test)
    else:
        kind, cause = _PAIRS.get(quantity, _decided)(scene, farm, test)
    when = max(leg.exit_ns or leg.entry_ns for leg in (farm, test) if leg is not None)
    if kind is Kind.CODE and scene.data_ns and when >= scene.data_ns:
        return Kind.DATA, f"the bars differ from {iso(scene.data_ns)} on"
    return kind, cause


def late_by(scene: Scene, test: Leg, lone: Mapping[int, Sequence[Leg]]) -> int:
    """Return when the farm made an entry that it had decided in time, a few bars late; 0 when it did not."""
    made = scene.recorded.decisions.get(test.entry_ns - scene.length)
    if made is None or made.decision.side != test.side:
        return 0
    for behind in range(1, _LATEST + 1):
        at = test.entry_ns + behind * scene.length
        if at in lone and lone[at][0].side == test.side:
            return at
    return 0


def _lone(scene: Scene, farm: Leg | None, test: Leg | None) -> tuple[Kind, str]:
    if test is None:
        assert farm is not None
        word = _reason(scene, farm.entry_ns)
        return Kind.CODE, f"the farm entered ({word}) where the back-test did not"
    bar_ns = test.entry_ns - scene.length
    made = scene.recorded.decisions.get(bar_ns)
    if made is None:
        return Kind.DATA, f"the runner has not decided on the bar {iso(bar_ns)}"
    if made.decision.side != test.side:
        return Kind.CODE, f"the runner decided {made.decision.reason!r} and not an entry"
    if not made.intents:
        return Kind.LATENCY, "the runner wanted to enter and might not: the bar was old, the bus away, or it was paused"
    return _order(scene.orders_of(bar_ns))


def _order(events: Sequence[OrderEvent]) -> tuple[Kind, str]:
    """Judge by what became of the order."""
    for event in events:
        if event.state is OrderState.DENIED:
            kind = Kind.LATENCY if event.code in _LATE_RULES else Kind.CONFIG
            return kind, f"the gate denied the order by its rule {event.code!r}: {event.reason}"
        if event.state in {OrderState.REJECTED, OrderState.CANCELED}:
            return Kind.CONFIG, f"the venue refused the order: {event.reason or event.code}"
    if not any(event.state is OrderState.FILLED for event in events):
        return Kind.LATENCY, "the order was sent and its fill has not come"
    return Kind.CODE, "the order was filled and its fill belongs to no entry"


def _reason(scene: Scene, entry_ns: int) -> str:
    made = scene.recorded.decisions.get(entry_ns - scene.length)
    return made.decision.reason if made else "without a decision on the bar before"


def _decided(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    del test
    return Kind.CODE, f"the decision differs ({_reason(scene, farm.entry_ns)}): sizing, equity or parameters"


def _entry_price(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    return _market_price(scene, farm.entry_ns, farm.side, farm.entry_price, test.entry_price)


def _exit_price(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    if farm.exit == "exit":
        return _market_price(scene, farm.exit_ns, -farm.side, farm.exit_price, test.exit_price)
    return Kind.FILL, f"the {farm.exit} was filled at another price in the same bar"


def _market_price(scene: Scene, ts_ns: int, side: int, farm: float, test: float) -> tuple[Kind, str]:
    """Judge the price of a market order: off by a tick it is rounding, otherwise slippage that was set otherwise."""
    tick, open_ = float(scene.recorded.instrument.price_step), scene.open_at(ts_ns)
    if abs(farm - test) <= _TICKS * tick or not open_:
        return Kind.FILL, "the market order was filled a tick apart"
    paid = [side * (price / open_ - 1.0) * 1e4 for price in (farm, test)]
    return Kind.CONFIG, f"slippage: {paid[0]:.2f} basis points in the farm, {paid[1]:.2f} in the back-test"


def _exit_time(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    """Judge exits in two bars: a decision that one side made, an order that came late, or a barrier that held."""
    if test.exit == "exit" and (farm.open or farm.exit_ns > test.exit_ns):
        made = scene.recorded.decisions.get(test.exit_ns - scene.length)
        if made is None or not made.decision.exit:
            return Kind.CODE, "the runner did not decide to leave where the back-test did"
        behind = (farm.exit_ns - test.exit_ns) // scene.length
        late = "has not been filled" if farm.open else f"was filled {behind} bars after its turn"
        return Kind.LATENCY, f"the farm's exit {late}: an intent came late"
    if farm.exit == "exit" and (test.open or farm.exit_ns < test.exit_ns):
        return Kind.CODE, "the runner decided to leave where the back-test did not"
    return (
        Kind.FILL,
        f"the farm's leg ended by {farm.exit or 'nothing yet'}, the back-test's by {test.exit or 'nothing'}",
    )


def _exit_kind(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    del scene
    return Kind.FILL, f"in one bar the farm's leg ended by {farm.exit or 'nothing'}, the back-test's by {test.exit}"


def _fee(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    turned = farm.size * (farm.entry_price + farm.exit_price)
    rates = [leg.fee / turned if turned else 0.0 for leg in (farm, test)]
    if abs(rates[0] - rates[1]) < _RATE:
        return Kind.FILL, "the fee was rounded otherwise"
    said = f"{scene.costs.taker:.6f} was asked for"
    return Kind.CONFIG, f"fees: {rates[0]:.6f} of the notional in the farm, {rates[1]:.6f} in the back-test; {said}"


def _funding(scene: Scene, farm: Leg, test: Leg) -> tuple[Kind, str]:
    del scene
    return Kind.CONFIG, f"funding: {farm.funding:.6f} in the farm, {test.funding:.6f} in the back-test"


_PAIRS: Final = {
    "entry_price": _entry_price,
    "exit_ns": _exit_time,
    "exit": _exit_kind,
    "exit_price": _exit_price,
    "fee": _fee,
    "funding": _funding,
}
