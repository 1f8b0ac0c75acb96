"""Synthetic markets for the judge: noise with fat tails and clustered volatility, an edge where planted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omega.engine.bars import F64
from omega.research.experiment import Cell, Outcome
from omega.research.experiment.plan import Plan
from omega.research.statistics import random_shifts

FOLDS, DAYS = 6, 70
FACTOR_VARIANCE = 0.125
"""Of half a cosine around a half."""
SYMBOLS = ("AAA", "BBB")


def plan_of(**over: object) -> Plan:
    """Return a plan of two factor arms and one parameter arm, changed where asked."""
    values: dict[str, object] = {
        "name": "synthetic",
        "bot": "ema_cross",
        "metric": "mean_return",
        "direction": "higher",
        "alpha": 0.05,
        "minimum_effect": 0.0,
        "seed": 1,
        "data": {"symbols": SYMBOLS, "timeframe": "1h"},
        "folds": {"test_days": DAYS},
        "placebos": 99,
        "draws": 99,
        "arms": {
            "control": {},
            "moon": {"cosmic": "only_moon_phase"},
            "storm": {"cosmic": "only_mercury_retrograde"},
            "fast": {"params": {"fast": 8}},
        },
    }
    return Plan.model_validate({**values, **over})


@dataclass(frozen=True)
class World:
    """Returns of a bot in a world of noise, and what each arm makes of them.

    Attributes:
        edges: by arm, what the bot earns more on a day on which the arm's factor is one above its mean.
    """

    plan: Plan
    seed: int
    edges: dict[str, float]

    def outcomes(self) -> dict[Cell, Outcome]:
        """Return every cell of the plan."""
        rng = np.random.default_rng([self.seed, 77])
        n = FOLDS * DAYS
        market = _returns(rng, n)
        factors = {name: _factor(rng, n, period) for name, period in (("moon", 29.53), ("storm", 116.0))}
        phases = {name: _phases(factor, self.plan.placebos, rng) for name, factor in factors.items()}
        found: dict[Cell, Outcome] = {}
        planted = sum(edge * (factors[arm] - 0.5) for arm, edge in self.edges.items() if arm in factors)
        for symbol in self.plan.data.symbols:
            base = _position(rng, n) * (0.7 * market + 0.7 * _returns(rng, n)) + planted
            for arm in self.plan.arms:
                if arm in factors:
                    rows = base * (1.0 + 0.5 * phases[arm])
                elif arm == "control":
                    rows = base[None, :]
                else:
                    rows = (base + 0.4 * _returns(rng, n) + self.edges.get(arm, 0.0))[None, :]
                for fold in range(FOLDS):
                    days = slice(fold * DAYS, (fold + 1) * DAYS)
                    found[Cell(arm, symbol, fold)] = Outcome(np.ascontiguousarray(rows[:, days]), 10)
        return found


def _phases(factor: F64, placebos: int, rng: np.random.Generator) -> F64:
    """Return the factor and, below it, its placebos: shifted in a circle, by another shift in every fold."""
    day = np.arange(len(factor))
    shifts = np.zeros((1 + placebos, FOLDS), dtype=np.int64)
    for fold in range(FOLDS):
        shifts[1:, fold] = random_shifts(len(factor), placebos, rng)
    return factor[(day - shifts[:, day // DAYS]) % len(factor)]


def _returns(rng: np.random.Generator, n: int) -> F64:
    waves = np.convolve(rng.standard_normal(n + 20), np.ones(21) / np.sqrt(21.0), mode="valid")
    return 0.02 * np.exp(0.4 * waves) * rng.standard_t(5, n) / np.sqrt(5.0 / 3.0)


def _position(rng: np.random.Generator, n: int) -> F64:
    return np.repeat(rng.integers(-1, 2, n // 8 + 1), 8)[:n].astype(np.float64)


def _factor(rng: np.random.Generator, n: int, period: float) -> F64:
    phase = rng.uniform(0.0, 2.0 * np.pi)
    return np.clip(0.5 + 0.5 * np.cos(2.0 * np.pi * np.arange(n) / period + phase), 0.0, 1.0)
