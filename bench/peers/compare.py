"""Ours beside the peers in one run: each peer in an environment of its own, ours before and after it, two rounds.

Called by bench/run.py (`--only peers`), or by hand: `python bench/peers/compare.py`. Trades and equity stand beside
every time, and what a peer does differently is said; a peer that cannot be installed is named with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT)]

from kernel import LIMITS, MOVED, alone  # noqa: E402 - from the folder above

HOME = ROOT / "var" / "peers"
LONGEST_S = 1_200


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: what is installed, which script runs it, how often."""

    name: str
    home: str
    script: str
    needs: tuple[str, ...]
    jobs: str = "j1,j2,j3"
    repeats: int = 3
    env: dict[str, str] = field(default_factory=dict)


_VECTORBT = (
    "vectorbt[rust]==1.2.0", "vectorbt-rust==1.2.0", "numpy==2.4.6", "pandas==3.1.1", "numba==0.68.1", "TA-Lib==0.8.2",
)  # fmt: skip
PEERS = (
    Peer("vectorbt-rust", "vectorbt", "vectorbt_job.py", _VECTORBT, env={"OMEGA_ENGINE": "rust"}),
    Peer("vectorbt", "vectorbt", "vectorbt_job.py", _VECTORBT),
    Peer("raptorbt", "raptorbt", "raptorbt_job.py", ("raptorbt==0.13.4", "numpy==2.4.6")),
    Peer(
        "backtesting.py", "backtesting", "backtesting_job.py",
        ("backtesting==0.6.6", "numpy==2.4.6", "pandas==3.1.1"), jobs="j1,j2", repeats=0,
    ),
    Peer(
        "nautilus_trader", "nautilus", "nautilus_job.py", ("nautilus_trader==1.221.0", "pandas==2.3.3"), jobs="j1",
        repeats=0,
    ),
    Peer("freqtrade", "freqtrade", "freqtrade_job.py", ("freqtrade==2026.9",), jobs="j1,j2", repeats=0),
)  # fmt: skip


def environment(peer: Peer) -> tuple[Path | None, str]:
    """Return the peer's interpreter, installing it at its exact versions; else None and why not."""
    home = HOME / peer.home
    python = home / "bin" / "python"
    stamp = home / "installed.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == list(peer.needs):
        return python, ""
    uv = shutil.which("uv")
    steps = (
        [[uv, "venv", "-q", "--python", sys.executable, str(home)],
         [uv, "pip", "install", "-q", "--python", str(python), *peer.needs]]
        if uv and _runs(uv)
        else [[sys.executable, "-m", "venv", str(home)], [str(python), "-m", "pip", "install", "-q", *peer.needs]]
    )  # fmt: skip
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=LONGEST_S)
        if done.returncode != 0:
            return None, (done.stderr or done.stdout).strip().split("\n")[-1][:300]
    stamp.write_text(json.dumps(list(peer.needs)))
    return python, ""


def _runs(tool: str) -> bool:
    return subprocess.run([tool, "--version"], capture_output=True, check=False).returncode == 0


def _theirs(python: Path, peer: Peer, columns: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(HERE / peer.script), str(columns), peer.jobs, str(peer.repeats)],
        capture_output=True, text=True, check=False, cwd=HERE, timeout=LONGEST_S,
        env={**os.environ, **peer.env, "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    if done.returncode != 0:
        return {"failed": done.stderr.strip().split("\n")[-1][:300]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(names: tuple[str, ...] = (), rounds: int = 2) -> dict[str, Any]:
    """Run the peers, ours around each of them, and return figures and ratios by peer and job."""
    from data import YEAR, kept, source

    chosen = [peer for peer in PEERS if not names or peer.name in names]
    found: dict[str, Any] = {
        "data": source()[1],
        "bars": YEAR,
        "load": os.getloadavg()[0],
        "peers": {},
    }
    with kept() as columns:
        for peer in chosen:
            print(f"  {peer.name} ...", file=sys.stderr, flush=True)
            python, why = environment(peer)
            if python is None:
                found["peers"][peer.name] = {"not installed": why}
                continue
            ours, theirs = [_ours(peer)], []
            for _ in range(rounds):
                theirs.append(_theirs(python, peer, columns))
                ours.append(_ours(peer))
            found["peers"][peer.name] = _beside(peer, ours, theirs, YEAR)
    return found


def _ours(peer: Peer) -> dict[str, Any]:
    """Run the peer's jobs, and J1 and J2 once more with funding, psychology and a cosmic factor on."""
    jobs = peer.jobs.split(",")
    return {job: alone(job) for job in (*jobs, *(job + MOVED for job in jobs if job in LIMITS))}


def _beside(peer: Peer, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """Set the medians beside each other; a combination of the sweep counts as one pass."""
    failed = next((row["failed"] for row in theirs if "failed" in row), "")
    if failed:
        return {"failed": failed}
    table: dict[str, Any] = {"version": theirs[0]["version"]}
    for job in peer.jobs.split(","):
        rows = [row[job] for row in theirs if job in row]
        mine = [row[job] for row in ours if "failed" not in row[job]]
        if not rows or not mine:
            continue
        second = statistics.median(value for row in rows for value in row["seconds"])
        if job == "j3":
            rate, unit = rows[0]["combos"] / second, "combos/s"
            own = statistics.median(row["combos_s"] for row in mine)
            spent = rows[0]["combos"] / max(row["combos_core_s"] for row in mine)
        else:
            rate, unit = rows[0].get("bars", count) / second / 1e6, "M bars/s"
            own = _rate(mine)
            spent = rows[0].get("bars", count) / count * min(row["processor_ms"] for row in mine) / 1e3
        table[job] = {
            "unit": unit,
            "theirs": round(rate, 3),
            "ours": round(own, 3),
            "ours over theirs": round(own / rate, 2),
            # The least of all runs on either side: neighbours move it less than they move the clock.
            "ours over theirs, by processor time": round(min(row["processor_s"] for row in rows) / spent, 2),
            "trades": {"theirs": rows[0]["trades"], "ours": mine[0].get("trades")},
            "equity": {"theirs": rows[0]["equity"], "ours": mine[0].get("equity")},
            "memory_mb": {"theirs": rows[0]["peak_rss_mb"], "ours": mine[0].get("peak_rss_mb")},
            "differs": rows[0]["differs"],
        }
        moved = [row[job + MOVED] for row in ours if "failed" not in row.get(job + MOVED, {"failed": ""})]
        if moved:
            table[job]["ours with influences over theirs"] = round(_rate(moved) / rate, 2)
            least = rows[0].get("bars", count) / count * min(row["processor_ms"] for row in moved) / 1e3
            spent = min(row["processor_s"] for row in rows) / least
            table[job]["ours with influences over theirs, by processor time"] = round(spent, 2)
    return table


def _rate(rows: list[dict[str, Any]]) -> float:
    return statistics.median(row["m_bars_s"] for row in rows)


def table(found: dict[str, Any]) -> str:
    """Return the ratios for people, ours over theirs: by the clock, by processor time, and both with influences on."""
    lines = [
        f"{'peer':<16} {'job':<3} {'theirs':>9} {'ours':>9} {'unit':<9} {'clock':>8} {'cpu':>8} {'influences':>18}"
    ]
    for name, jobs in found["peers"].items():
        for job, row in jobs.items():
            if not isinstance(row, dict):
                if job != "version":
                    lines.append(f"{name:<16} {job}: {row}")
                continue
            key = "ours with influences over theirs"
            moved = f"{row[key]:.1f} / {row[key + ', by processor time']:.1f}" if key in row else ""
            lines.append(
                f"{name:<16} {job:<3} {row['theirs']:>9} {row['ours']:>9} {row['unit']:<9} {row['ours over theirs']:>8}"
                f" {row['ours over theirs, by processor time']:>8} {moved:>18}"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="peers, comma separated: " + ", ".join(peer.name for peer in PEERS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="everything: trades, equity, memory, what differs")
    options = parser.parse_args()
    names = tuple(name for name in options.only.split(",") if name)
    found = compare(names, options.rounds)
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
