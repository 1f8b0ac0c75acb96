"""A recorded session as parity reads it: bars, decisions, intents, orders, fills and funding of one bot.

The runner writes these files (`omega up --record`); the check of parity compares a back-test with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from omega.bus import DecisionMade, FundingPaid, OrderEvent
from omega.domain import Bar, Fill, Instrument, Intent
from omega.engine import Bars
from omega.errors import ConfigError, CorruptData

_BAR: Final = TypeAdapter(Bar)
_INSTRUMENT: Final = TypeAdapter(Instrument)
_EVENTS: Final[dict[str, tuple[str, TypeAdapter[Any]]]] = {
    "filled": ("fill", TypeAdapter(Fill)),
    "funded": ("paid", TypeAdapter(FundingPaid)),
    "ordered": ("event", TypeAdapter(OrderEvent)),
}
_INTENT: Final = TypeAdapter(Intent)
_MADE: Final = TypeAdapter(DecisionMade)


@dataclass(slots=True)
class Recorded:
    """What one bot saw and did.

    Attributes:
        charter: what the bot was told to be, as the session holds it.
        bars: every bar that it saw, oldest first.
        first_ns: open time of the first bar that it decided on.
        decisions: by the open time of the bar.
    """

    charter: Mapping[str, Any]
    instrument: Instrument
    bars: list[Bar] = field(default_factory=list)
    first_ns: int = 0
    decisions: dict[int, DecisionMade] = field(default_factory=dict)
    intents: list[Intent] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    funded: list[FundingPaid] = field(default_factory=list)
    orders: list[OrderEvent] = field(default_factory=list)

    @property
    def decided(self) -> int:
        """How many bars were decided on."""
        return len(self.decisions)

    def columns(self) -> Bars:
        """Return the bars in columns."""
        rows = sorted({bar.ts_ns: bar for bar in self.bars}.values(), key=lambda bar: bar.ts_ns)
        return Bars.of(
            [bar.ts_ns for bar in rows],
            [bar.open for bar in rows],
            [bar.high for bar in rows],
            [bar.low for bar in rows],
            [bar.close for bar in rows],
            [bar.volume for bar in rows],
        )


def read_recorded(path: Path) -> Recorded:
    """Read a session; a last line that was torn by a kill is left out.

    Raises:
        ConfigError: there is no such file.
        CorruptData: a line is no line of a session, or the bot did not begin with an empty book.
    """
    found: Recorded | None = None
    for number, raw in _lines(path):
        try:
            found = _take(found, raw)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise CorruptData(f"{path}, line {number}, {raw.get('saw')}.{where}: {problem['msg']}") from None
        except (KeyError, TypeError) as error:
            raise CorruptData(f"{path}, line {number} is no line of a session ({error!r}); record it anew") from error
    if found is None or not found.first_ns:
        raise CorruptData(f"{path} holds no decision: let the farm run longer, then compare")
    return found


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = path.open("rb")
    except OSError as error:
        raise ConfigError(
            f"cannot read the session {path}: {error.strerror}; record one with omega up --record"
        ) from error
    with lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                raw = json.loads(line)
            except ValueError as error:
                raise CorruptData(f"{path}, line {number} is no JSON ({error}); record the session anew") from error
            if not isinstance(raw, dict):
                raise CorruptData(f"{path}, line {number} is no line of a session; record it anew")
            yield number, raw


def _take(found: Recorded | None, raw: dict[str, Any]) -> Recorded:
    saw, is_ = raw["saw"], raw["is"]
    if found is None:
        if saw != "start":
            raise CorruptData("the session does not begin with a start; record it anew")
        if is_["state"]:
            raise CorruptData(
                "the session begins with a saved state, parity with an empty book: record a farm from its start"
            )
        return Recorded(is_["charter"], _INSTRUMENT.validate_python(is_["instrument"]))
    if saw in {"history", "closed"}:
        bar = _BAR.validate_python(is_["bar"])
        found.bars.append(bar)
        found.first_ns = found.first_ns or (bar.ts_ns if saw == "closed" else 0)
    elif saw in _EVENTS:
        name, adapter = _EVENTS[saw]
        _list_of(found, saw).append(adapter.validate_python(is_[name]))
    found.intents += [_INTENT.validate_json(text) for text in raw["intents"]]
    if raw["decision"]:
        made = _MADE.validate_json(raw["decision"])
        found.decisions[made.decision.bar_ts_ns] = made
    return found


def _list_of(found: Recorded, saw: str) -> list[Any]:
    lists: dict[str, list[Any]] = {"filled": found.fills, "funded": found.funded, "ordered": found.orders}
    return lists[saw]
