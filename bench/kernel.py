"""Measure the back-test kernel and the sweep: J1, J2, J3, the bare loop beside them, memory, start, growth.

Every job in a process of its own, the bare loop before and after; called by bench/run.py, or by hand:
`python bench/kernel.py --json`, `--growth` for the table of cost by bars and symbols. It prints ratios and judges
nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT)]

REPEATS = 7
CHECKS = {
    # The year 2022, from the bench's definition: round trips and final equity with TA-Lib's averages.
    "j2": (9_798, 0.03930893817058),
}
NEEDED = (
    "limit", "j1", "j1_influences", "limit", "j2", "j2_influences", "limit", "j3", "j3_two", "limit", "j3_long",
    "j3_long_two", "limit", "cold", "warm",
)  # fmt: skip
LIMITS = {"j1": "J1 + curve", "j2": "J2 + curve + trades"}
MOVED = "_influences"
"""What the name of a job ends with that has funding, psychology and a cosmic factor on."""
BARS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
SYMBOLS = (1, 2, 5, 10, 20, 50)


class Seconds(list[float]):
    """How long each run took by the clock; `processor` is the least processor time of one, whatever neighbours do."""

    processor = 0.0


def _timed(run: Callable[[], Any], repeats: int = REPEATS) -> tuple[Seconds, Any]:
    run()
    found, spent, result = Seconds(), [], None
    for _ in range(repeats):
        gc.collect()
        began, busy = time.perf_counter(), time.process_time()
        result = run()
        spent.append(time.process_time() - busy)
        found.append(time.perf_counter() - began)
    found.processor = min(spent)
    return found, result


def _rate(count: int, seconds: Seconds) -> dict[str, Any]:
    rates = sorted(count / second for second in seconds)
    return {
        "m_bars_s": round(statistics.median(rates) / 1e6, 2),
        "spread": [round(rates[0] / 1e6, 2), round(rates[-1] / 1e6, 2)],
        "ms": round(statistics.median(seconds) * 1e3, 3),
        "processor_ms": round(seconds.processor * 1e3, 3),
        "processor_ns_a_bar": round(seconds.processor / count * 1e9, 2),
    }


def _market(count: int | None = None, symbol: str = "BTCUSDT") -> Any:
    from data import MINUTE_NS, YEAR, bars
    from omega.backtest.types import Market

    return Market(symbol, bars(count or YEAR), MINUTE_NS)


def _entry(**values: Any) -> tuple[Any, Any]:
    from omega.plugins import parse_params, strategies

    strategies.discover()
    entry = strategies.get("ema_cross")
    return entry, parse_params(entry.params, {"fast": 12, "slow": 26, "stop_pct": 0.0, **values})


def _rules() -> Any:
    from dataclasses import replace

    from omega.backtest.run import RULES
    from omega.engine.decision import Sizing

    return replace(RULES, sizing=Sizing.ALL_IN)


def limit() -> dict[str, Any]:
    """Time the bare loops."""
    import numpy as np
    import talib
    from limit import cross, room, stops

    from data import YEAR

    bars = _market().bars
    curve, rows = room(bars.n)
    with np.errstate(invalid="ignore"):
        above = talib.EMA(bars.close, 12) > talib.EMA(bars.close, 26)
    one, (equity, trips) = _timed(lambda: cross(bars.open, bars.close, 12, 26, curve), 15)
    two, (kept, closed) = _timed(lambda: stops(bars.open, bars.high, bars.low, bars.close, above, curve, rows), 15)
    return {
        "J1 + curve": _rate(YEAR, one) | {"trades": trips, "equity": equity},
        "J2 + curve + trades": _rate(YEAR, two) | {"trades": closed, "equity": kept},
    }


def _single(count: int, influences: bool = False, **values: Any) -> dict[str, Any]:  # noqa: FBT001, FBT002 - a job
    from omega.backtest.metrics import metrics
    from omega.backtest.run import backtest

    market = _market(count)
    entry, params = _entry(**values)
    more: dict[str, Any] = {}
    if influences:
        market, more = _moved(market)
    rules = _rules()

    def run() -> Any:
        result = backtest(entry, params, market, rules=rules, warmup=0, compiled=True, **more)
        return result, result.seven

    seconds, (result, seven) = _timed(run)
    every, _ = _timed(lambda: metrics(result))
    return _rate(count, seconds) | {
        "trades": int(seven["trades"]),
        "equity": seven["final_equity"],
        "every_metric_ms": round(statistics.median(every) * 1e3, 2),
    }


def _moved(market: Any) -> tuple[Any, dict[str, Any]]:
    """Return the market with its funding, recorded where a record is at hand, and a trader under a sky."""
    from dataclasses import replace

    import numpy as np

    from data import FUNDING
    from omega.backtest.influences import load_influences
    from omega.backtest.types import FundingSeries
    from omega.storage.lake.funding import read_funding

    if FUNDING.is_file():
        funding = read_funding(FUNDING)
    else:
        eight = 8 * 3_600_000_000_000
        instants = np.arange(-(-int(market.bars.ts[0]) // eight) + 1, int(market.bars.ts[-1]) // eight) * eight
        funding = FundingSeries(instants, np.full(len(instants), 0.0001))
    who = load_influences("strategic", "only_moon_phase", market.bars.ts, timeframe_ns=market.timeframe_ns)
    return replace(market, funding=funding), {"influences": who}


def j1() -> dict[str, Any]:
    """Time J1 with curve, trade list and seven metrics through the public API, TA-Lib included."""
    from data import YEAR

    return _single(YEAR)


def j2() -> dict[str, Any]:
    """Time J2: a stop of 2 % and a target of 4 %."""
    from data import YEAR, source

    found = _single(YEAR, stop_pct=0.02, target_pct=0.04)
    if "2022" in source()[1]:
        trades, equity = CHECKS["j2"]
        found["as_defined"] = found["trades"] == trades and abs(found["equity"] / equity - 1.0) < 1e-9
    return found


def j1_influences() -> dict[str, Any]:
    """Time J1 with recorded funding, psychology and a cosmic factor on."""
    from data import YEAR

    return _single(YEAR, influences=True)


def j2_influences() -> dict[str, Any]:
    """Time J2 with recorded funding, psychology and a cosmic factor on."""
    from data import YEAR

    return _single(YEAR, influences=True, stop_pct=0.02, target_pct=0.04)


def _sweep(workers: int, slow: str = "40:230:10") -> dict[str, Any]:
    from omega.backtest.sweep.goal import goals_of
    from omega.backtest.sweep.job import Job
    from omega.backtest.sweep.plan import Plan
    from omega.backtest.sweep.run import sweep
    from omega.backtest.sweep.space import space_of
    from omega.backtest.types import Costs

    entry, _ = _entry()
    market = _market()
    space = space_of(entry.params, ["fast=5:32:3", f"slow={slow}"], {})
    job = Job("ema_cross", {"stop_pct": 0.0}, _rules(), Costs(), 10_000.0)
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            plan = Plan(
                f"bench-{number}", f"sqlite:///{folder}/s.db", job, space, "grid", 0, 0, goals_of(["sharpe"]),
                workers=workers,
            )  # fmt: skip
            gc.collect()  # what the last one held is no part of this one
            reports.append(sweep(plan, market))
    best = max(reports, key=lambda report: report.per_second)
    return {
        "combos": best.ran,
        "combos_s": round(best.per_second, 1),
        "combos_core_s": round(max(report.per_core_second for report in reports), 1),
        "workers": workers,
        "worker_peak_rss_mb": round(best.peak_rss_mb, 1),
        "modes": list(best.modes),
    }


def j3() -> dict[str, Any]:
    """Time the sweep of 200 pairs with every figure of the walk on one core."""
    return _sweep(1)


def j3_two() -> dict[str, Any]:
    """Time the same on two worker processes."""
    return _sweep(2)


def j3_long() -> dict[str, Any]:
    """Time 2,000 pairs on one core: what a sweep costs once its workers have their memory and their averages."""
    return _sweep(1, "40:239:1")


def j3_long_two() -> dict[str, Any]:
    """Time the same on two worker processes."""
    return _sweep(2, "40:239:1")


def bars(count: int) -> dict[str, Any]:
    """Time J2 over so many bars."""
    return _single(count, stop_pct=0.02, target_pct=0.04)


def symbols(count: int) -> dict[str, Any]:
    """Time J2 over so many symbols of 1e5 bars each, one equity."""
    from omega.backtest.run import backtest

    entry, params = _entry(stop_pct=0.02, target_pct=0.04, sizing="risk")
    markets = [_market(100_000, f"S{number}") for number in range(count)]
    seconds, _ = _timed(lambda: backtest(entry, params, markets), 3)
    return _rate(100_000 * count, seconds)


# A user's own script: what this file itself imports is no part of it.
_FIRST = """
import sys; sys.path[:0] = {paths}
import atexit
from dataclasses import replace
from data import MINUTE_NS, bars
from omega.backtest.run import RULES, backtest
from omega.backtest.types import Market
from omega.engine.decision import Sizing
from omega.plugins import parse_params, strategies
strategies.discover()
entry = strategies.get("ema_cross")
values = {{"fast": 12, "slow": 26, "stop_pct": 0.02, "target_pct": 0.04}}
market = Market("BTCUSDT", bars(), MINUTE_NS)
rules = replace(RULES, sizing=Sizing.ALL_IN)
print(backtest(entry, parse_params(entry.params, values), market, rules=rules).final_equity)
# What it would have compiled behind its back is timed by itself.
from omega.backtest.first import compile_for_the_next
atexit.unregister(compile_for_the_next)
"""


def _first(cache: str) -> tuple[float, float]:
    """Return how long a new process takes to its first result, by the clock and in processor time."""
    code = _FIRST.format(paths=[str(ROOT / "bench"), str(ROOT)])
    began, busy = time.perf_counter(), _children_s()
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "NUMBA_CACHE_DIR": cache}
    )
    return round(time.perf_counter() - began, 3), round(_children_s() - busy, 3)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cold() -> dict[str, Any]:
    """Time a new process to its first result without any compiled code, and what is compiled behind its back."""
    with _cache() as cache:
        seconds, processor = _first(cache)
        return {"seconds": seconds, "processor_s": processor, "compiled_behind_processor_s": _compile(cache)}


def warm() -> dict[str, Any]:
    """Time a new process to its first result with compiled code on the disk."""
    with _cache() as cache:
        _compile(cache)
        runs = [_first(cache) for _ in range(5)]
        return {"seconds": min(run[0] for run in runs), "processor_s": min(run[1] for run in runs)}


@contextmanager
def _cache() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache
        yield cache


def _compile(cache: str) -> float:
    """Compile as a first back-test has it done; return the processor time."""
    busy = _children_s()
    subprocess.run(
        [sys.executable, "-m", "omega.backtest.warmth"], check=True, env={**os.environ, "NUMBA_CACHE_DIR": cache}
    )
    return round(_children_s() - busy, 3)


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (
        limit, j1, j2, j1_influences, j2_influences, j3, j3_two, j3_long, j3_long_two, bars, symbols, cold, warm,
    )
}  # fmt: skip


def alone(name: str, *more: str) -> dict[str, Any]:
    """Run one job in a process of its own and return what it found, with the memory it took."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--job", name, *more],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode != 0:
        return {"failed": done.stderr.strip().split("\n")[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(jobs: tuple[str, ...] = NEEDED) -> dict[str, Any]:
    """Run the jobs one after another, the bare loop among them, and set each beside the bare loop next to it."""
    from data import kept, source

    found: dict[str, Any] = {"data": source()[1], "load": os.getloadavg()[0]}
    with kept():
        _run_all(jobs, found)
    for name in ("j3", "j3_long"):
        one, two = found.get(name, {}), found.get(name + "_two", {})
        if one.get("combos_s") and two.get("combos_s"):
            found[f"{name}: two cores over one"] = round(two["combos_s"] / one["combos_s"], 2)
            # What two cores would do of it if nobody else wanted them: processor time knows no neighbours.
            by_processor = round(2 * two["combos_core_s"] / one["combos_core_s"], 2)
            found[f"{name}: two cores over one, by processor time"] = by_processor
    for name in LIMITS:
        plain, moved = found.get(name, {}), found.get(name + MOVED, {})
        if plain.get("ms") and moved.get("ms"):
            found[f"{name}: influences over plain"] = round(moved["ms"] / plain["ms"], 2)
            by_processor = round(moved["processor_ms"] / plain["processor_ms"], 2)
            found[f"{name}: influences over plain, by processor time"] = by_processor
    return found


def _run_all(jobs: tuple[str, ...], found: dict[str, Any]) -> None:
    bare: list[dict[str, Any]] = []
    for name in jobs:
        print(f"  {name} ...", file=sys.stderr, flush=True)
        made = alone(name)
        if name == "limit":
            bare.append(made)
            found["limit"] = made
            continue
        loop = LIMITS.get(name.removesuffix(MOVED))
        if loop and bare and "m_bars_s" in made and loop in bare[-1]:
            made["limit_over_ours"] = round(bare[-1][loop]["m_bars_s"] / made["m_bars_s"], 2)
            spent = made["processor_ms"] / bare[-1][loop]["processor_ms"]
            made["limit_over_ours, by processor time"] = round(spent, 2)
        if "combos_core_s" in made and bare and "J1 + curve" in bare[-1]:
            # A combination of the sweep beside a pass of the bare loop J1, both in processor time.
            passes = 1e3 / bare[-1]["J1 + curve"]["processor_ms"]
            made["combinations a bare pass"] = round(made["combos_core_s"] / passes, 2)
        found[name] = made


def growth() -> dict[str, Any]:
    """Run J2 over more and more bars and symbols: cost must grow as they do, the time of a bar stay what it is."""
    from data import kept, source

    found: dict[str, Any] = {"data": source()[1], "load": os.getloadavg()[0]}
    with kept():
        for name, counts in (("bars", BARS), ("symbols", SYMBOLS)):
            found[name] = rows = {}
            for count in counts:
                print(f"  {count:,} {name} ...", file=sys.stderr, flush=True)
                rows[f"{count:,}"] = alone(name, "--count", str(count))
    return found


def table(found: dict[str, Any]) -> str:
    """Return the growth as a table for people: by the clock, and in processor time a bar."""
    lines = []
    for name in ("bars", "symbols"):
        lines.append(f"{name:>12} {'ms':>10} {'M bars/s':>10} {'processor ms':>13} {'ns a bar':>9} {'peak MB':>8}")
        for count, row in found[name].items():
            if "failed" in row:
                lines.append(f"{count:>12} failed: {row['failed']}")
                continue
            lines.append(
                f"{count:>12} {row['ms']:>10.2f} {row['m_bars_s']:>10.2f} {row['processor_ms']:>13.2f}"
                f" {row['processor_ns_a_bar']:>9.2f} {row['peak_rss_mb']:>8.0f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Print one job's result, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=tuple(JOBS), help="one job, in this process")
    parser.add_argument("--only", help="jobs, comma separated, each in a process of its own")
    parser.add_argument("--count", type=int, help="bars or symbols of the jobs of those names")
    parser.add_argument("--growth", action="store_true", help="the table of cost by bars and symbols")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if options.job:
        from omega.backtest.sweep.worker import memory_mb, peak_rss_mb

        given = () if options.count is None else (options.count,)
        found = JOBS[options.job](*given)
        memory = {"peak_rss_mb": round(peak_rss_mb(), 1), "of_libraries_mb": round(memory_mb("RssFile"), 1)}
        print(json.dumps(found | memory))
        return
    if options.growth:
        grown = growth()
        print(json.dumps(grown) if options.json else table(grown))
        return
    found = measure(tuple(options.only.split(",")) if options.only else NEEDED)
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
