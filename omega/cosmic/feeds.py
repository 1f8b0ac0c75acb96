"""What a feed has said and how far it can be believed: live, stale, frozen, implausible or model. Pure.

A coordinator of the cosmic service gives it samples; the factors read it. Only a live value may move a decision, so
every doubt ends in neutral.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from omega.cosmic.readings import Heard
from omega.domain import SECOND_NS, FeedState
from omega.errors import CorruptData

_KEPT: Final = 256
_SLACK_NS: Final = 60 * SECOND_NS
"""How far after the instant that is asked about a value may lie, as in a decision."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as it came.

    Units: raw in the feed's unit; as_of_ns the instant it describes, ns UTC; confidence in [0, 1].
    """

    raw: float
    as_of_ns: int
    source: str
    confidence: float = 1.0
    modelled: bool = False
    """True for a value that nobody measured."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a feed is believed.

    Attributes:
        low: the lowest plausible value.
        high: the highest one.
        stale_s: age beyond which a value is stale.
        frozen_after: equal values in a row, after the first, that make it frozen; 0 = a feed that may rest.
        neutral: what is shown when a first value is implausible.
    """

    low: float
    high: float
    stale_s: float
    frozen_after: int = 0
    neutral: float = 0.0


def dated(sample: Sample, now_ns: int) -> Sample:
    """Return a sample whose instant can be true; one of the future would hide all that come after it.

    Raises:
        CorruptData: it lies after the present instant, or before 1970.
    """
    if not 0 <= sample.as_of_ns <= now_ns + _SLACK_NS:
        raise CorruptData(f"{sample.source} dates its value {sample.as_of_ns} ns since 1970; check clocks and units")
    return sample


class Track:
    """The samples of one feed, judged as they come.

    Attributes:
        rule: when it is believed.
        rejected: the newest implausible value, None when there was none since the last sound one.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rejected: float | None = None
        self._kept: deque[tuple[Sample, FeedState]] = deque(maxlen=_KEPT)
        self._sound: Sample | None = None
        self._unchanged = 0

    @property
    def newest(self) -> Sample | None:
        """The newest sound sample."""
        return self._sound

    def take(self, sample: Sample) -> FeedState:
        """Judge a sample; one that is no newer than the newest is the same publication again and changes nothing."""
        if self._kept and sample.as_of_ns <= self._kept[-1][0].as_of_ns:
            return self._kept[-1][1]
        if not self._plausible(sample.raw):
            return self._refuse(sample)
        same = self._sound is not None and self._sound.raw == sample.raw
        return self._keep(sample, self._unchanged + 1 if same else 0)

    def _keep(self, sample: Sample, unchanged: int) -> FeedState:
        self._sound, self._unchanged, self.rejected = sample, unchanged, None
        frozen = 0 < self.rule.frozen_after <= self._unchanged
        state = FeedState.MODEL if sample.modelled else FeedState.FROZEN if frozen else FeedState.LIVE
        self._kept.append((sample, state))
        return state

    def at(self, at_ns: int) -> Heard | None:
        """Return what was known at an instant, None when nothing was."""
        for sample, state in reversed(self._kept):
            if sample.as_of_ns <= at_ns + _SLACK_NS:
                old = (at_ns - sample.as_of_ns) / SECOND_NS > self.rule.stale_s
                state = FeedState.STALE if old and state is FeedState.LIVE else state  # noqa: PLW2901 - ages here
                confidence = sample.confidence if state is FeedState.LIVE else 0.0
                return Heard(sample.raw, sample.as_of_ns, sample.source, state, confidence, int(self.rule.stale_s))
        return None

    def saved(self) -> str:
        """Return the newest sound sample as JSON, empty when there is none."""
        if self._sound is None:
            return ""
        one = self._sound
        fields = {"raw": one.raw, "as_of_ns": one.as_of_ns, "source": one.source, "confidence": one.confidence}
        return json.dumps({**fields, "modelled": one.modelled, "unchanged": self._unchanged})

    def restore(self, text: str, now_ns: int) -> None:
        """Take a saved sample as the newest one; what the feed would not be believed today is not.

        Raises:
            CorruptData: it is none, lies after the present instant, or is implausible.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            sample = Sample(
                float(found["raw"]),
                int(found["as_of_ns"]),
                str(found["source"]),
                float(found["confidence"]),
                modelled=found["modelled"] is True,
            )
            unchanged = int(found["unchanged"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptData(f"the saved value of a feed is unsound ({error!r}); it starts without one") from error
        if not self._plausible(dated(sample, now_ns).raw):
            raise CorruptData(f"the saved value of a feed is unsound ({sample.raw}); it starts without one")
        self._keep(sample, max(unchanged, 0))

    def _plausible(self, raw: float) -> bool:
        return isfinite(raw) and self.rule.low <= raw <= self.rule.high

    def _refuse(self, sample: Sample) -> FeedState:
        self.rejected = sample.raw
        shown = self._sound.raw if self._sound is not None else self.rule.neutral
        kept = Sample(shown, sample.as_of_ns, sample.source, 0.0)
        self._kept.append((kept, FeedState.IMPLAUSIBLE))
        return FeedState.IMPLAUSIBLE
