"""Measure what psychology and cosmic factors cost: time of a decision, memory of a runner's fold and of a back-test.

Every arm runs in a process of its own; arms of time take turns, several rounds, so that other work on the machine falls
on all of them. `bench/influences.py --json`. It prints figures and ratios, and judges nothing.
Memory is the whole process's, the reader of the recorded candles included: look at the difference to `absent`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

ARMS = {
    "absent": ("", ""),
    "off": ("", "off"),
    "one factor": ("", "only_moon_phase"),
    "all factors": ("", "all"),
    "psychology": ("strategic", ""),
    "all factors and psychology": ("strategic", "all"),
}
"""Profile and preset of each arm; `off` is a preset whose master switch is off."""
PAST_ARMS = ("absent", "off", "all factors", "all factors and psychology")
ROUNDS = 3
BARS = 2_000
WINDOW = 600
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


def _charter(arm: str) -> Any:
    from omega.backtest.presets import OFF, load_preset, load_trader
    from omega.domain import Mode
    from services.runner.charter import Charter

    profile, preset = ARMS[arm]
    trader, adapts = load_trader(profile or OFF)
    sky = load_preset(preset or OFF)
    return Charter(
        bot="bench", strategy="ema_cross", params={"fast": 3, "slow": 6}, mode=Mode.PAPER, venue="bitget",
        account="main", symbol="BTC-USDT.P", timeframe="1m", capital=Decimal(1_000), window=WINDOW, risk=0.01,
        max_leverage=3, max_notional=10_000.0, factors=() if sky is None else tuple(name for name, _ in sky.weights),
        psychology=profile, profile=trader, adapts=adapts, cosmic=preset, preset=sky,
    )  # fmt: skip


def _bars(count: int) -> Iterator[Any]:
    from omega.domain import Bar
    from omega.storage.lake.read import read_market

    found = read_market(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet", "BTCUSDT", "1m").bars.prefix(count)
    columns = (found.ts, found.open, found.high, found.low, found.close, found.volume)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield Bar(*row)


def _sky(factors: tuple[str, ...], at_ns: int) -> Iterator[Any]:
    from omega.domain import FeedState, Reading
    from services.runner.seen import Read

    degrees = at_ns / HOUR_NS * 7.3 % 360.0
    for name in factors:
        value, raw = degrees / 180.0 - 1.0, degrees if name == "moon_phase" else degrees / 30.0
        yield Read(Reading(name, value, raw, "", "", "bench", at_ns, 3_600, 1.0, FeedState.CALCULATED))


def runner(arm: str) -> dict[str, Any]:
    """Fold recorded minutes as the runner does; nothing is filled, so the flat book enters at every crossing."""
    import services.runner.service  # noqa: F401 - what the container loads
    from services.runner.bot import Bot
    from services.runner.seen import Closed, History

    bot, spent, entries = Bot(_charter(arm)), [], []
    for row, bar in enumerate(_bars(WINDOW + BARS)):
        close_ns = bar.ts_ns + MINUTE_NS
        if not close_ns % HOUR_NS:
            for read in _sky(bot.charter.factors, close_ns):
                bot.take(read)
        if row < WINDOW:
            bot.take(History(bar))
            continue
        began = time.perf_counter_ns()
        done = bot.take(Closed(bar, entries=True))
        took = time.perf_counter_ns() - began
        spent.append(took)
        if done.made is not None and done.made.decision.side:
            entries.append(took)
    return {"us": _percentiles(spent), "entry_us": _percentiles(entries), "entries": len(entries), "rss_mb": _rss_mb()}


def past(arm: str) -> dict[str, Any]:
    """Back-test thirty days of minutes."""
    from omega.backtest.influences import load_influences
    from omega.backtest.run import RULES, backtest
    from omega.backtest.types import Market
    from omega.plugins import strategies
    from omega.storage.lake.read import read_market

    strategies.discover()
    entry = strategies.get("ema_cross")
    bars = read_market(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet", "BTCUSDT", "1m").bars
    market = Market("BTCUSDT", bars, MINUTE_NS)
    profile, preset = ARMS[arm]
    given = None
    if arm != "absent":
        given = load_influences(profile or "off", preset or "off", bars.ts, timeframe_ns=MINUTE_NS)
    spent = []
    for _ in range(6):
        began = time.perf_counter_ns()
        backtest(entry, entry.params(), market, rules=RULES, influences=given)
        spent.append(time.perf_counter_ns() - began)
    return {"ms": round(min(spent) / 1e6, 2), "rss_mb": _rss_mb()}


def _percentiles(spent: list[int]) -> dict[str, float]:
    cuts = statistics.quantiles(spent, n=100)
    return {f"p{share}": round(cuts[share - 1] / 1e3, 1) for share in (50, 90, 99)}


def _rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _process(job: str, arm: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--job", job, "--arm", arm]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job} of {arm} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _quietest(job: str, arms: tuple[str, ...], time_of: Callable[[dict[str, Any]], float]) -> dict[str, Any]:
    """Run every arm in turn, several times; keep its quickest run, and the least memory of all of its runs."""
    rounds = [{arm: _process(job, arm) for arm in arms} for _ in range(ROUNDS)]
    found = {arm: min((one[arm] for one in rounds), key=time_of) for arm in arms}
    return {arm: made | {"rss_mb": min(one[arm]["rss_mb"] for one in rounds)} for arm, made in found.items()}


def measure() -> dict[str, Any]:
    """Measure every arm, the quietest round of each."""
    found = _quietest("runner", tuple(ARMS), lambda made: float(made["us"]["p50"]))
    plain = found["absent"]
    for made in found.values():
        made["times absent"] = round(made["us"]["p50"] / plain["us"]["p50"], 2)
        made["entry times absent"] = round(made["entry_us"]["p50"] / plain["entry_us"]["p50"], 2)
        made["mb over absent"] = round(made["rss_mb"] - plain["rss_mb"], 1)
    past_ = _quietest("past", PAST_ARMS, lambda made: float(made["ms"]))
    for made in past_.values():
        made["times absent"] = round(made["ms"] / past_["absent"]["ms"], 2)
        made["mb over absent"] = round(made["rss_mb"] - past_["absent"]["rss_mb"], 1)
    return {"decision of a runner": found, "back-test of thirty days of minutes": past_}


def main() -> None:
    """Measure all arms, or one of them for the process that asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", choices=("runner", "past"))
    parser.add_argument("--arm", choices=tuple(ARMS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.job:
        print(json.dumps({"runner": runner, "past": past}[options.job](options.arm)))
        return
    print(json.dumps(measure(), indent=None if options.json else 2))


if __name__ == "__main__":
    main()
