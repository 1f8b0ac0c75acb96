"""The sky of the hour that has begun: which readings a decision goes by. Pure; called by the fold and the charter.

History looks a factor up at the full hour at or before a bar's close. So does the fold: by that hour, never by what
happened to arrive first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from omega.domain import NO_SOURCE, Decision, Reading
from omega.engine.decision import Context
from omega.engine.stages import CosmicStage

HOUR_NS: Final = 3_600_000_000_000


def hour_of(at_ns: int) -> int:
    """Return the full hour at or before an instant."""
    return at_ns - at_ns % HOUR_NS


class Hours:
    """The readings of each factor by the full hour that they serve: the first one at or after their instant.

    A reading of the hour itself is the newest that can serve it, so an order of arrival changes nothing once it is
    there.
    """

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, Reading]] = {}
        self._served: tuple[int, tuple[Reading, ...]] = (-1, ())

    def take(self, reading: Reading) -> None:
        """Keep a reading unless a newer one serves its hour.

        What describes hours that are gone, as Kp does, would be hidden for hours by a service that had heard nothing
        when it began: once it has heard, that it had not counts no more.
        """
        hour = hour_of(reading.as_of_ns + HOUR_NS - 1)
        mine = self._kept.setdefault(reading.factor, {})
        if reading.source != NO_SOURCE:
            for later in [at for at, one in mine.items() if at > hour and one.source == NO_SOURCE]:
                del mine[later]
        if hour not in mine or mine[hour].as_of_ns <= reading.as_of_ns:
            mine[hour] = reading
            self._served = (-1, ())

    def at(self, hour_ns: int) -> tuple[Reading, ...]:
        """Return the newest reading of each factor that serves an hour or one before it, by name; forget older ones.

        One that is over by that hour hides no older one that still holds.
        """
        if self._served[0] != hour_ns:
            self._served = (hour_ns, self._serving(hour_ns))
        return self._served[1]

    def _serving(self, hour_ns: int) -> tuple[Reading, ...]:
        found = []
        for factor in sorted(self._kept):
            mine = self._kept[factor]
            begun = sorted((hour for hour in mine if hour <= hour_ns), reverse=True)
            if begun:
                serving = next((hour for hour in begun if mine[hour].age_s(hour_ns) < mine[hour].ttl_s), begun[0])
                found.append(mine[serving])
                self._kept[factor] = {hour: one for hour, one in mine.items() if hour >= serving}
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class HourlySky:
    """The cosmic stage under the sky of the full hour at or before the bar's close, as history looks it up."""

    stage: CosmicStage

    def __call__(self, decision: Decision, context: Context) -> Decision:
        """Apply the influences of that hour to an entry."""
        if not decision.side:
            return decision
        since_hour = (context.bar_ts_ns + self.stage.timeframe_ns) % HOUR_NS
        return self.stage(decision, replace(context, bar_ts_ns=context.bar_ts_ns - since_hour))
