"""How the runner comes by the sky of an hour: it asks the cosmic service once, before the first decision in that hour.

What the service publishes by itself stands in when it does not answer. Called by the runner's service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from omega.bus import Bus
from omega.domain import Reading, iso
from omega.errors import CorruptData, OmegaError
from omega.telemetry import get_logger
from services.runner.seen import Read
from services.runner.sky import hour_of

SERVICE: Final = "cosmic"
AT_START_S: Final = 10.0
"""How long a runner that starts waits for the sky; the service may be starting too."""
AT_BAR_S: Final = 1.0
_REST_S: Final = 10.0
"""Time between two questions after one that was not answered: a bar does not wait for a service that is gone."""
_READING: Final = TypeAdapter(Reading)
LOG = get_logger("services.runner")


class SkyQuestions:
    """Asks for the sky of an hour, once, and lets the bot see the answer."""

    def __init__(self, bus: Bus, fold: Callable[[Read], object]) -> None:
        self._bus = bus
        self._fold = fold
        self._known = (0, frozenset[str]())
        self._not_before_s = 0.0

    async def ask(self, factors: Collection[str], close_ns: int, *, within_s: float) -> None:
        """Make the sky of the hour before a bar's close known; without an answer go on with what is known."""
        hour, wanted = hour_of(close_ns), frozenset(factors)
        if self._known == (hour, wanted) or time.monotonic() < self._not_before_s:
            return
        try:
            answer = await self._bus.ask(SERVICE, "at", {"at": str(hour)}, within_ns=int(within_s * 1e9))
            readings = _readings(answer)
        except OmegaError as error:  # whatever is wrong with the sky, the bot trades on: unknown factors are neutral
            self._not_before_s = time.monotonic() + _REST_S
            LOG.warning("sky.unanswered", hour=iso(hour), error=str(error))
            return
        self._known = (hour, wanted)
        for reading in readings:
            if reading.factor in wanted:
                self._fold(Read(reading))


def _readings(answer: Any) -> list[Reading]:
    """Return the readings in an answer of the cosmic service.

    Raises:
        CorruptData: it holds none, or one that is none.
    """
    rows = answer.get("factors") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list):
        raise CorruptData("the cosmic service answered without factors; bring runner and service to one version")
    try:
        return [_READING.validate_python(row) for row in rows]
    except ValidationError as error:
        raise CorruptData(f"the cosmic service answered with an unsound reading: {error.errors()[0]['msg']}") from None
