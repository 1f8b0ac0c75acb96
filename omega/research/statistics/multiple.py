"""Many questions at once: p-values corrected for the false discovery rate. Called by the judge over all arms."""

from __future__ import annotations

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError


def benjamini_hochberg(p: F64) -> F64:
    """Return the corrected p-values: below alpha, and the expected share of false discoveries is at most alpha.

    q(i) = min over j >= i of p(j) m / j in rising order; valid for independent or positively dependent tests.

    Source: Benjamini and Hochberg (1995), JRSS B 57(1).
    """
    return _step_up(p, 1.0)


def benjamini_yekutieli(p: F64) -> F64:
    """Return the corrected p-values that hold under any dependence: Benjamini-Hochberg times 1 + 1/2 + ... + 1/m.

    Source: Benjamini and Yekutieli (2001), Annals of Statistics 29(4).
    """
    return _step_up(p, float((1.0 / np.arange(1, len(p) + 1)).sum()))


def _step_up(p: F64, factor: float) -> F64:
    if len(p) and not ((p >= 0.0) & (p <= 1.0)).all():
        raise ConfigError(f"{p} are no p-values: each lies in 0 to 1")
    m = len(p)
    order = np.argsort(p)
    scaled = p[order] * factor * m / np.arange(1, m + 1)
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return corrected
