"""The forecast of a market: a probability, and beside it how good such probabilities were out of sample.

Called by the analytics service and `omega analyze trend`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from omega.analytics.evidence import POOLED, Evidence, Verdict, evidence_of
from omega.analytics.forecast.models import BOOSTING, DRIFT, NO_CHANGE, model_of
from omega.analytics.forecast.scores import Bin, Gain, Score, gain, log_losses, reliability, score
from omega.analytics.forecast.walk import Ground, Plan, Walked, walk
from omega.engine.bars import Bars

FAMILY: Final = "forecast"
_ALPHA: Final = 0.05
_CALL: Final = 0.02


class Direction(StrEnum):
    """What a probability says, if it says anything."""

    UP = "up"
    DOWN = "down"
    NO_CALL = "no call"


@dataclass(frozen=True, slots=True)
class Forecast:
    """One forecast with its record.

    Attributes:
        model: its name in the registry.
        horizon: bars until the outcome.
        as_of_ns: open time of the bar at whose close it was made.
        until_ns: open time of the bar whose close it speaks of.
        probability_up: chance of a higher close, calibrated.
        direction: no call within 2 points of one half, or where the record does not beat "no change".
        score: of the same model, walk-forward out of sample, on the bars given.
        no_change: of one half always, on the same outcomes.
        drift: of the share of rises in the training rows, on the same outcomes.
        gain: log loss saved against "no change", in nats an outcome.
        mean_return: mean log return of following each of those calls for one horizon, before fees and slippage: a
            direction may be told better than by chance and still not be worth its costs.
        reliability: forecasts in bins against what happened, out of sample.
        evidence: the measured row that the project carries for this market, else for all of them together, at this
            timeframe and horizon.
    """

    model: str
    horizon: int
    as_of_ns: int
    until_ns: int
    probability_up: float
    direction: Direction
    score: Score
    no_change: Score
    drift: Score
    gain: Gain
    mean_return: float
    reliability: tuple[Bin, ...]
    evidence: Evidence

    @property
    def beats_no_change(self) -> bool:
        """Whether the record on these bars beats "no change" at 5 %."""
        return self.gain.p_value < _ALPHA

    def sentence(self) -> str:
        """Return the forecast for people, its record first."""
        record = "beats" if self.beats_no_change else "does not beat"
        return (
            f"{self.probability_up:.1%} for a higher close in {self.horizon} bars ({self.direction.value}); out of "
            f"sample {self.model} {record} no change: log loss {self.score.log_loss:.4f} against "
            f"{self.no_change.log_loss:.4f}, accuracy {self.score.accuracy:.1%} of {self.score.n:,}, each call worth "
            f"{self.mean_return:+.3%} before costs"
        )


def forecast(
    bars: Bars,
    timeframe_ns: int,
    *,
    horizon: int = 24,
    model: str = BOOSTING,
    seed: int = 0,
    folds: int = 8,
    dataset: str = "",
    timeframe: str = "",
    told: Callable[[int, int], None] = lambda *_: None,
) -> Forecast:
    """Forecast the close `horizon` bars after the last one, and score the model on the bars themselves.

    Args:
        bars: closed bars; the more, the better the record: about 2,000 are worth the name.
        timeframe_ns: their length.
        horizon: bars ahead.
        model: a name of the registry.
        seed: of whatever the model draws.
        folds: how often the model is fitted anew for the record.
        dataset: name of the market in the evidence.
        timeframe: name of the timeframe in the evidence.
        told: called with (fits done, fits in all).

    Raises:
        ConfigError: the bars are too few, or there is no such model.
        EnvironmentFault: the model needs a package that is absent.
    """
    chosen = model_of(model)
    tested = bars.n // 2
    plan = Plan(horizon, train=max(bars.n - tested, 200), step=max(-(-tested // folds), 1), embargo=horizon)
    ground = Ground.of(bars, timeframe_ns, plan)
    walked = walk(ground, chosen, seed=seed, told=told)
    last = np.array([bars.n - 1], dtype=np.int64)
    p = float(chosen.fit(ground.task(bars.n, seed))(last)[0])
    gained = against(walked, walk(ground, model_of(NO_CHANGE)), horizon)
    moved = np.log(bars.close[walked.rows + horizon] / bars.close[walked.rows])
    return Forecast(
        model=model,
        horizon=horizon,
        as_of_ns=int(bars.ts[-1]),
        until_ns=int(bars.ts[-1]) + horizon * timeframe_ns,
        probability_up=p,
        direction=_direction(p, gained),
        score=score(walked.probability, walked.up),
        no_change=score(np.full(len(walked.up), 0.5), walked.up),
        drift=score(walk(ground, model_of(DRIFT)).probability, walked.up),
        gain=gained,
        mean_return=float((np.sign(walked.probability - 0.5) * moved).mean()),
        reliability=reliability(walked.probability, walked.up),
        evidence=_evidence(model, horizon, dataset, timeframe),
    )


def against(walked: Walked, reference: Walked, horizon: int) -> Gain:
    """Return the log loss that a model saved against another on the same outcomes, in nats an outcome."""
    saved = log_losses(reference.probability, reference.up) - log_losses(walked.probability, walked.up)
    return gain(saved, least_block=float(horizon))


def _evidence(model: str, horizon: int, dataset: str, timeframe: str) -> Evidence:
    """Return the row of this market, else that of all markets together."""
    of_market, of_all = (
        evidence_of(model, "both", measure=f"h{horizon}", dataset=of, timeframe=timeframe) for of in (dataset, POOLED)
    )
    return of_all if of_market.verdict is Verdict.UNMEASURED else of_market


def _direction(p: float, gained: Gain) -> Direction:
    if gained.p_value >= _ALPHA or abs(p - 0.5) < _CALL:
        return Direction.NO_CALL
    return Direction.UP if p > 0.5 else Direction.DOWN  # noqa: PLR2004 - one half
