"""Teaching example and benchmark: long while EMA(12) lies over EMA(26), else flat. Run by omega.engine, once a bar."""

import numpy as np
import talib

from omega.engine import Bars, Signals
from omega.plugins import param, params, strategy


@params
class Params:
    """Lengths of the averages and the barriers around a position."""

    fast: int = param(12, low=2, high=100, unit="bars", reload="restart", doc="length of the fast average")
    slow: int = param(26, low=3, high=300, unit="bars", reload="restart", doc="length of the slow average")
    stop_pct: float = param(0.02, low=0.0, high=0.2, unit="fraction", doc="stop distance; 0 for none, back-test only")
    target_pct: float = param(0.0, low=0.0, high=0.5, unit="fraction", doc="target distance; 0 for none")
    sizing: str = param("risk", choices=("risk", "full"), doc="size by the risk at the stop, or the whole equity")


@strategy("ema_cross", params=Params, warmup=lambda p: 20 * p.slow, reasons=("crossed_up", "below"))
def signals(bars: Bars, p: Params) -> Signals:
    """Enter on the upward cross, leave while the fast average is not above the slow one.

    Shapes: every array is (n,), aligned with bars; row k reads rows 0..k alone.
    Units: distances in quote currency per unit.
    """
    # Nameless, the averages give their memory back to the columns below: a year then fits into the cache.
    above = talib.EMA(bars.close, p.fast) > talib.EMA(bars.close, p.slow)
    crossed = np.zeros(bars.n, dtype=np.bool_)
    crossed[1:] = above[1:] & ~above[:-1]
    below = ~above
    targets = (p.target_pct * bars.close,) if p.target_pct else ()
    return Signals.of(
        side=crossed,  # long where it crossed, flat elsewhere
        exit=below,
        stop_distance=p.stop_pct * bars.close,
        targets=targets,
        reason=below.astype(np.int16),
    )
