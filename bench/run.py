"""Measure the running farm: replay speed, bar-to-order latency, bus, memory, start-up. Prints figures, judges nothing.

`make bench` runs all of it but the peers (some minutes on two cores); `make bench ARGS="--only replay"` one part;
`--only peers` installs other back-testers into environments of their own under var/peers and runs them beside ours;
`--json` is for machines. The load is printed because other work on the machine moves every figure in seconds; it moves
`cpu_ms_a_bar`, the processor time that each process spends on one more bar, least.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LONGEST_S = 300
PARTS = (
    "replay",
    "latency",
    "bus",
    "gate",
    "kernel",
    "growth",
    "influences",
    "ledger",
    "cosmic",
    "patterns",
    "collector",
)
PEERS = "peers"
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench" / "peers")]
AIMS = {
    "replay": "aim >= 300 bars/s with four bots; a runner <= 90 MB; bare: the same processes with nothing in them",
    "latency": "aim at 10 bots: p50 <= 2 ms, p99 <= 8 ms; bare: the same processes with nothing in them",
    "gate": "aim with 50 bots: p99 of risk and journal <= 5 ms an intent; 40 intents <= 1 s; memory flat on day 2",
    "kernel": "aim: 110 M bars/s a single pass; 1,000 combinations/s and core; first result <= 0.5 s warm, <= 4 s cold",
    "growth": "aim: the time of a bar stays what it is from 1e5 to 1e7 bars and from 1 to 50 symbols",
    "influences": "a decision and its memory with no, one, all factors, and psychology; off costs what absent costs",
    "ledger": "1,000,000 records through the real sink; rates in records/s, queries in ms at that size",
    "cosmic": "aim: a year of hourly readings of all factors <= 2 s; a live reading of all of them <= 1 ms",
    "patterns": "aim: 525,600 bars in every family <= 5 s on a core; one more bar <= 5 ms",
    "collector": "a full collection of a gateway's process, its start's objects frozen and not",
    "peers": "aim: 8x the better of vectorbt-rust and raptorbt in one pass; sweep 50x vectorbt-rust",
    "bus": "aim: one by one >= 0.8x, consume >= 0.5x of bare redis.asyncio in the same run",
}


def farm(*args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run the farm once in lock-step and return its JSON result."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "omega.cli", "up", "--json", "--speed", "lockstep", "--home", home, *args]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
        if not done.stdout.strip():
            raise SystemExit(f"the farm did not run: {done.stderr[-2000:]}")
        return dict(json.loads(done.stdout))


def replay(bars: int) -> dict[str, Any]:
    """Replay recorded bars through the real services with the default bots.

    The processor time a bar is what a longer run costs more than a short one: start and end drop out, and other work on
    the machine moves it less than it moves bars a second.
    """
    short = farm("--bars", str(max(bars // 6, 1)))
    outcome = farm("--bars", str(bars))
    more = outcome["bars"] - short["bars"]
    spent = {name: cpu_s - _cpu(short).get(name, 0.0) for name, cpu_s in _cpu(outcome).items()}
    cpu_ms = {name: round(1e3 * cpu_s / more, 2) for name, cpu_s in spent.items()} if more else {}
    return {
        "bars": outcome["bars"],
        "bots": len(outcome["bots"]),
        "bars_per_s": outcome["bars_per_s"],
        "bare": bare(len(outcome["bots"]), bars),
        "cpu_ms_a_bar": {**cpu_ms, "all": round(sum(cpu_ms.values()), 2)},
        "orders": outcome["orders_total"],
        "first_fill_s": outcome["first_fill_s"],
        "ready_s": outcome["ready_s"],
        "invariants": outcome["invariants"],
        "processes": {
            row["name"]: {"rss_mb": row["rss_mb"], "ready_s": row["ready_s"]} for row in outcome["processes"]
        },
    }


def _cpu(outcome: dict[str, Any]) -> dict[str, float]:
    used = {row["name"]: float(row["cpu_s"]) for row in outcome["processes"]}
    return {**used, "conductor": float(outcome["conductor_cpu_s"])}


def latency(bars: int) -> list[dict[str, Any]]:
    """Measure from the bar in the gateway's hand to the order request leaving it, with 1, 10 and 40 bots.

    The bare farm runs just before each: a machine whose bare processes take longer than the aim cannot keep it.
    """
    found = []
    for count in (1, 10, 40):
        limit = bare(count, bars)
        ours = _latency(count, bars)
        times = {f"p{n}_times_bare": round(ours[f"p{n}"] / limit[f"p{n}"], 2) for n in (50, 99)}
        found.append({**ours, "bare": limit, **times})
    return found


def bare(bots: int, bars: int) -> dict[str, Any]:
    """Run as many processes with nothing in them: the limit of the machine and of its load just now."""
    return _script("bench/bare.py", "--bots", str(bots), "--bars", str(bars))


def _latency(count: int, bars: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        shutil.copytree(ROOT / "config", config)
        for old in (config / "bots").glob("*.yaml"):
            old.unlink()
        rows = "".join(_bot(number) for number in range(count))
        (config / "bots" / "bench.yaml").write_text(f"bots:\n{rows}", encoding="utf-8")
        outcome = farm("--bars", str(bars), env={"OMEGA_CONFIG_DIR": str(config)})
    return {"bots": count, "bars_per_s": outcome["bars_per_s"], **outcome["latency_ms"]}


def _bot(number: int) -> str:
    # Short averages cross often, so that there are many orders to time; no two bots are clones of each other.
    fast = 3 + number % 8
    slow = fast + 4 + 3 * number % 17
    symbol = ("BTC-USDT.P", "ETH-USDT.P")[number % 2]
    return (
        f"  bench-{number:02d}:\n    strategy: ema_cross\n    symbol: {symbol}\n    capital: 500\n"
        f"    params: {{fast: {fast}, slow: {slow}}}\n"
    )


def bus() -> dict[str, Any]:
    """Run the bus beside a bare redis.asyncio loop in the same run."""
    return _script("bench/bus.py")


def gate() -> dict[str, Any]:
    """Run a day of 50 bots on one account through the gateway's order path."""
    return _script("bench/gate.py")


def cosmic() -> dict[str, Any]:
    """Read every cosmic factor over a year, and now."""
    return _script("bench/cosmic.py")


def collector() -> dict[str, Any]:
    """Measure what freezing the start's objects saves the garbage collector."""
    return _script("bench/collector.py")


def _script(path: str, *args: str) -> dict[str, Any]:
    command = [sys.executable, path, *args, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{path} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def kernel() -> dict[str, Any]:
    """Run the back-test kernel and the sweep beside the bare loop, each job in a process of its own."""
    from kernel import measure

    return dict(measure())


def growth() -> dict[str, Any]:
    """Run one pass over more and more bars and symbols, each in a process of its own."""
    from kernel import growth as measured

    return dict(measured())


def influences() -> dict[str, Any]:
    """Run decisions and back-tests with psychology and cosmic factors absent, off and on."""
    return _script("bench/influences.py")


def ledger(events: int) -> dict[str, Any]:
    """Write records through the real sink, ask, prove and rebuild, on SQLite and PostgreSQL."""
    from ledger import run

    return dict(run(events))


def patterns() -> dict[str, Any]:
    """Scan a year of minutes in every pattern family, and go on bar by bar."""
    return _script("bench/patterns.py")


def peers() -> dict[str, Any]:
    """Run the peers and ours around each of them, on the same bars."""
    from compare import compare

    return dict(compare())


def _shown(part: str, found: Any) -> str:
    if part == "growth":
        from kernel import table

        return str(table(found))
    return json.dumps(found, indent=2)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=(*PARTS, PEERS), help="one part")
    parser.add_argument("--bars", type=int, default=3000, help="bars of the replay (default 3000)")
    parser.add_argument("--events", type=int, default=1_000_000, help="records of the ledger (default 1,000,000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()} "
        # How an interpreter was built moves every figure by a third, and cannot be asked: so say which one it is.
        f"from {sys.base_prefix}",
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }
    for part in [options.only] if options.only else PARTS:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        found[part] = {
            "replay": lambda: replay(options.bars),
            "latency": lambda: latency(600),
            "bus": bus,
            "gate": gate,
            "kernel": kernel,
            "growth": growth,
            "influences": influences,
            "cosmic": cosmic,
            "collector": collector,
            "ledger": lambda: ledger(options.events),
            "patterns": patterns,
            "peers": peers,
        }[part]()
        if not options.json:
            print(f"\n{part}  ({AIMS[part]})\n{_shown(part, found[part])}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
