"""An experiment as it is registered before anything is run: the question, the metric, the arms, the rules of judgement.

Made by `read_plan` from YAML; read by the evaluation and the judge.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from omega.params import Value
from omega.research.statistics.compare import Direction

OFF: Final = "off"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Section):
    """A patch on the bot.

    Attributes:
        params: parameters that differ from the experiment's own.
        psychology: a trader's profile, or off.
        cosmic: a preset, or factors with their weights in [0, 1], or off.
        against: the arm that it is compared with; the experiment's control when empty.
        placebos: judge a cosmic arm by its placebos; without them it is compared with its control alone.
        about: what it is, for the report.
    """

    params: dict[str, Value] = Field(default_factory=dict)
    psychology: str = OFF
    cosmic: str | dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = OFF
    against: str = ""
    placebos: bool = True
    about: str = ""

    @property
    def has_placebos(self) -> bool:
        """Whether the arm is judged among the random phases of its own factors."""
        return self.placebos and self.cosmic != OFF


class Data(_Section):
    """Which bars. Units: from and to are ISO instants, `to` excluded; feeds are files of recorded factors."""

    symbols: Annotated[tuple[str, ...], Field(min_length=1)]
    timeframe: str
    from_: str = Field(default="", alias="from")
    to: str = ""
    funding: str = ""
    feeds: tuple[str, ...] = ()


class Folds(_Section):
    """Walk-forward folds: parameters may be tuned on `train_days`, every arm is judged on the `test_days` after them.

    Attributes:
        anchored: the training window grows from the first day instead of moving on.
        tune: parameters and the values that are tried on the training window of each fold and asset.
    """

    train_days: Annotated[int, Field(ge=0, le=3650)] = 0
    test_days: Annotated[int, Field(ge=2, le=3650)]
    anchored: bool = False
    tune: dict[str, tuple[Value, ...]] = Field(default_factory=dict)


class Trading(_Section):
    """Capital and costs. Units: quote currency; fractions of the notional; slippage of the price."""

    capital: Annotated[float, Field(gt=0.0)] = 10_000.0
    taker: Annotated[float, Field(ge=0.0, le=0.1)] = 0.0006
    maker: Annotated[float, Field(ge=0.0, le=0.1)] = 0.0002
    slippage: Annotated[float, Field(ge=0.0, le=0.1)] = 0.0


class Gates(_Section):
    """What an arm must pass besides its own test before it is adopted; None asks for nothing.

    Attributes:
        deflated_sharpe: least deflated Sharpe ratio of the arm.
        overfitting: largest probability of overfitting over all arms.
    """

    deflated_sharpe: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    overfitting: Annotated[float, Field(ge=0.0, le=1.0)] | None = None


class Plan(_Section):
    """A registered experiment.

    Units: minimum_effect in the units of the metric, the least that would be worth having; placebos a number of random
        phases for every cosmic arm; draws the resamples of every bootstrap; alpha bounds the false discoveries over
        all arms; power is what the smallest detectable effect is stated for.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    question: str = ""
    bot: str
    params: dict[str, Value] = Field(default_factory=dict)
    rules: dict[str, Value] = Field(default_factory=dict)
    metric: str
    direction: Direction
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    power: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    minimum_effect: Annotated[float, Field(ge=0.0)]
    seed: Annotated[int, Field(ge=0, le=67_108_858)]
    data: Data
    folds: Folds
    trading: Trading = Trading()
    placebos: Annotated[int, Field(ge=0, le=100_000)] = 199
    draws: Annotated[int, Field(ge=99, le=100_000)] = 2000
    gates: Gates = Gates()
    control: str = "control"
    arms: Annotated[dict[str, Arm], Field(min_length=2)]

    @property
    def tested(self) -> tuple[str, ...]:
        """The arms that get a verdict: all but the control."""
        return tuple(name for name in self.arms if name != self.control)

    def against(self, arm: str) -> str:
        """Return the arm that an arm is compared with."""
        return self.arms[arm].against or self.control

    def registered(self) -> dict[str, Any]:
        """Return what was fixed before looking, as JSON values; words are left out."""
        kept = self.model_dump(mode="json", by_alias=True, exclude={"question"})
        for arm in kept["arms"].values():
            del arm["about"]
        return kept

    @property
    def digest(self) -> str:
        """The hash of what was registered."""
        return digest(self.registered())


def digest(value: Any) -> str:
    """Return the hash of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
