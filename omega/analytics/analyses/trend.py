"""Trend forecast: a calibrated probability, and beside it how such ones did out of sample against "no change"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, Number, Panel, PanelKind, Series, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.forecast import Forecast

_LOSS: Final = "nats per outcome"


@params
class Params:
    """What is forecast, and by which model."""

    horizon: int = param(24, low=1, high=500, unit="bars", doc="how far ahead the close is that it speaks of")
    model: str = param("gradient_boosting", doc="a registered model of omega.analytics.forecast")
    folds: int = param(4, low=2, high=50, doc="how often the model is fitted anew for its record")


@analysis("trend", title="Trend forecast", params=Params, least=400)
def trend(context: Context, p: Params) -> Analysis:
    """Forecast the close some bars ahead, and score the same model on these very bars."""
    from omega.analytics.forecast import forecast

    bars = context.bars
    made = forecast(
        bars,
        context.length_ns,
        horizon=p.horizon,
        model=p.model,
        folds=p.folds,
        dataset=context.dataset,
        timeframe=context.timeframe,
    )
    direction = {"up": "long", "down": "short"}.get(made.direction.value, "")
    newest = (int(bars.ts[-1]), float(bars.close[-1]))
    tone = {"long": Tone.UP, "short": Tone.DOWN}.get(direction, Tone.STRONG)
    return Analysis(
        analysis="trend",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=f"{made.sentence()}.",
        findings=(
            Finding(
                name=f"forecast {p.horizon} bars",
                at_ns=made.as_of_ns,
                text=f"{made.probability_up:.1%} for a higher close: {made.direction.value}",
                direction=direction,
                numbers=(
                    number("probability of a higher close", made.probability_up, "probability"),
                    number("speaks of the bar that opens at", float(made.until_ns), "ns UTC"),
                ),
                evidence=made.evidence,
                marks=(Mark(MarkKind.POINT, (newest,), f"{made.probability_up:.0%} up, {made.direction.value}", tone),),
            ),
        ),
        numbers=_scores(made),
        caveats=_caveats(made),
        panels=(_reliability(made), _losses(made)),
    )


def _scores(made: Forecast) -> tuple[Number, ...]:
    rows = [("model", made.score), ("no change", made.no_change), ("drift", made.drift)]
    figures = []
    for name, score in rows:
        figures += [
            number(f"{name}: log loss", score.log_loss, _LOSS),
            number(f"{name}: Brier score", score.brier, "probability squared"),
            number(f"{name}: accuracy", score.accuracy, "fraction"),
        ]
    return (
        *figures,
        number("model: calibration error", made.score.calibration_error, "probability"),
        number("outcomes scored out of sample", made.score.n, "bars"),
        number("log loss saved against no change", made.gain.mean, _LOSS),
        number("saved, low end of 95 %", made.gain.low, _LOSS),
        number("saved, high end of 95 %", made.gain.high, _LOSS),
        number("p-value of the saving", made.gain.p_value, "probability"),
    )


def _caveats(made: Forecast) -> tuple[str, ...]:
    if made.beats_no_change:
        return (
            "It beat no change on these bars, one test of many: costs are not in it, and the next bars may differ.",
        )
    return ("On these bars the model does not beat saying 50 % every time: there is no call in it.",)


def _reliability(made: Forecast) -> Panel:
    bins = made.reliability
    happened = Series(
        "happened",
        tuple(one.forecast for one in bins),
        tuple(one.happened for one in bins),
        low=tuple(one.low for one in bins),
        high=tuple(one.high for one in bins),
    )
    return Panel(
        PanelKind.PLOT,
        f"Reliability of {made.model}, out of sample",
        (happened,),
        x_label="forecast probability of a rise (dashed: perfect)",
        y_label="share that rose",
        diagonal=True,
    )


def _losses(made: Forecast) -> Panel:
    rows = (("model", made.score), ("no change", made.no_change), ("drift", made.drift))
    return Panel(
        PanelKind.BARS,
        "Log loss out of sample (lower is better)",
        (Series("log loss", (), tuple(score.log_loss for _, score in rows)),),
        names=tuple(name for name, _ in rows),
    )
