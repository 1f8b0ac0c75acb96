"""A finished experiment as JSON values: everything the page shows, and what it takes to run it again.

Written beside the page; read by `omega experiment list` and `show`.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from omega import __version__
from omega.domain.time import iso
from omega.research.experiment.findings import ArmFinding, Judgement
from omega.research.experiment.pipeline import Finished
from omega.research.experiment.words import story

_QUANTILES = (0.05, 0.5, 0.95)


def facts(finished: Finished, *, at_ns: int) -> dict[str, Any]:
    """Return the report as JSON values; what is not finite is null."""
    judgement = finished.judgement
    plan = judgement.plan
    made: dict[str, Any] = clean({
        "experiment": plan.name,
        "question": plan.question,
        "answer": story(judgement),
        "adopted": list(judgement.adopted),
        "verdicts": {arm.name: str(arm.verdict) for arm in judgement.arms},
        "arms": [_arm(arm) for arm in judgement.arms],
        "control": {"name": plan.control, "equity": float(judgement.curves[plan.control][-1])},
        "days": judgement.days,
        "from": iso(finished.first_ns),
        "to": iso(finished.last_ns),
        "folds": judgement.folds,
        "cells": finished.cells,
        "cells_resumed": finished.resumed,
        "backtests": finished.backtests,
        "elapsed_s": finished.elapsed_s,
        "trials_ever": judgement.trials,
        "sharpe_of_luck": judgement.luck,
        "overfitting": _overfitting(judgement),
        "superiority": asdict(judgement.superiority) if judgement.superiority else None,
        "cautions": list(judgement.cautions),
        "data_hash": finished.data_hash,
        "plan_digest": plan.digest,
        "plan": plan.registered(),
        "version": __version__,
        "at": iso(at_ns),
    })  # fmt: skip
    return made


def clean(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _arm(arm: ArmFinding) -> dict[str, Any]:
    own = {name: getattr(arm, name) for name in ArmFinding.__dataclass_fields__}
    spread = np.quantile(arm.placebos, _QUANTILES).tolist() if len(arm.placebos) else None
    return {
        **own,
        "verdict": str(arm.verdict),
        "compared": asdict(arm.compared),
        "by_asset": {symbol: {"effect": effect, "p": p} for symbol, (effect, p) in arm.by_asset.items()},
        "placebos": {"count": len(arm.placebos), "quantiles_5_50_95": spread},
    }


def _overfitting(judgement: Judgement) -> dict[str, Any] | None:
    found = judgement.overfitting
    if found is None:
        return None
    return {"probability": found.probability, "loss": found.loss, "slope": found.slope, "splits": len(found.logits)}
