"""Run every variant of the loop once over a few bars, so that its machine code lies in the cache.

Called by omega.backtest.compile.warm, hence by `make setup` and by image builds; and run as a process of its own, for
the next back-test, by the first one of a machine.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import numpy as np

from omega.backtest.run import backtest
from omega.backtest.types import Market
from omega.engine.bars import Bars
from omega.engine.profile import Profile
from omega.engine.signals import Signals
from omega.params import param, params
from omega.plugins import StrategyEntry

_MINUTE_NS: Final = 60_000_000_000
_BARS: Final = 8


@params
class _Params:
    targets: int = param(0, low=0, high=3)


def _signals(bars: Bars, p: _Params) -> Signals:
    side = np.zeros(bars.n, np.int8)
    side[1] = 1
    return Signals.of(side=side, stop_distance=0.01 * bars.close, targets=(0.02 * bars.close,) * p.targets)


def exercise() -> None:
    """Run the loop without influences and with them, and name the regimes that traders go by."""
    from omega.backtest.influences import Influences
    from omega.backtest.regimes import name_compiled

    entry = StrategyEntry("warmth", _signals, _Params, lambda _: 0, ("in",), False, False, None, "")
    flat = np.full(_BARS, 100.0)
    bars = Bars.of(np.arange(1, _BARS + 1) * _MINUTE_NS, flat, flat, flat, flat, flat)
    market = Market("WARMTH", bars, _MINUTE_NS)
    backtest(entry, _Params(), market, compiled=True)
    backtest(entry, _Params(), market, influences=Influences(profile=Profile()), compiled=True)
    name_compiled(bars)


def main() -> None:
    """Compile behind everybody's back, once: where another process does it already, that is enough."""
    from omega.backtest.compile import cache_folder

    os.nice(19)
    with (cache_folder() / "warmth.lock").open("w") as file:
        with suppress(ImportError):  # a system without locks compiles twice at worst
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
        exercise()


if __name__ == "__main__":
    main()
