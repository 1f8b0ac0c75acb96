"""How markets move together, with the noise of short samples shrunk away. Called by the assessment of a book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64, I64, Bars
from omega.errors import ConfigError

_LEAST: Final = 30


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Correlations of a set of markets.

    Shapes: plain and shrunk are (k, k), in the order of the symbols; covariance (k, k), shrunk, of the returns.
    Units: shrinkage in [0, 1], 0 for none; n returns that all markets share.
    """

    symbols: tuple[str, ...]
    plain: F64
    shrunk: F64
    covariance: F64
    shrinkage: float
    n: int

    def of(self, one: str, other: str) -> float:
        """Return the shrunk correlation of two markets."""
        return float(self.shrunk[self.symbols.index(one), self.symbols.index(other)])


def shared_returns(markets: Mapping[str, Bars]) -> F64:
    """Return the log returns between the bars that every market has, oldest first.

    Shapes: (n, k), in the order of the markets.
    """
    common: I64 | None = None
    for bars in markets.values():
        common = bars.ts if common is None else np.intersect1d(common, bars.ts).astype(np.int64)
    if common is None or not len(common):
        return np.zeros((0, len(markets)))
    closes = np.column_stack([bars.close[np.searchsorted(bars.ts, common)] for bars in markets.values()])
    made: F64 = np.diff(np.log(closes), axis=0)
    return made


def correlate(markets: Mapping[str, Bars]) -> Together:
    """Measure how markets move together, on the bars that all of them have.

    Raises:
        ConfigError: they share fewer than 31 bars, or one of them never moves.
    """
    return correlate_returns(tuple(markets), shared_returns(markets))


def correlate_returns(symbols: tuple[str, ...], returns: F64) -> Together:
    """Measure how columns of returns move together; the covariance is shrunk towards equal correlations of none.

    Shapes: returns (n, k), aligned with the symbols.

    Raises:
        ConfigError: fewer than 30 rows, or a column without variance.

    Source: Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
        Multivariate Analysis 88, applied to standardised returns: the target is then the identity.
    """
    n = len(returns)
    if n < _LEAST:
        raise ConfigError(f"{n} shared returns are too few to correlate; give {_LEAST} or more")
    spread = returns.std(axis=0)
    if not (spread > 0.0).all():
        still = [symbol for symbol, s in zip(symbols, spread, strict=True) if not s > 0.0]
        raise ConfigError(f"{', '.join(still)} never moved: leave it out")
    z = (returns - returns.mean(axis=0)) / spread
    plain: F64 = z.T @ z / n
    shrinkage = ledoit_wolf(z)
    shrunk = (1.0 - shrinkage) * plain + shrinkage * np.eye(len(symbols))
    np.fill_diagonal(shrunk, 1.0)
    return Together(symbols, plain, shrunk, shrunk * np.outer(spread, spread), shrinkage, n)


def ledoit_wolf(centred: F64) -> float:
    """Return the share of the target, mean variance times the identity, in the best linear estimate.

    Shapes: centred (n, k), columns of mean zero. Units: in [0, 1]; 0.0 for a single column.
    """
    n, k = centred.shape
    sample = centred.T @ centred / n
    apart = sample - np.trace(sample) / k * np.eye(k)
    distance = float((apart**2).sum()) / k
    squares = centred**2
    noise = (float((squares.T @ squares).sum()) / n - float((sample**2).sum())) / k / n
    return min(max(noise, 0.0), distance) / distance if distance > 0.0 else 0.0
