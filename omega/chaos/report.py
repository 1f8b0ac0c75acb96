"""Many seeds as one result and one table. Called by the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from omega.chaos.lab import at


def merge(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one JSON object over several seeds; its fields are those of one seed, summed or the worst."""
    rows = list(results)
    faults, skipped, restarts, halts = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    spells: dict[str, list[float]] = {}
    for row in rows:
        faults.update(row["faults"])
        restarts.update(row["restarts"])
        halts.update(row["halts_released"])
        skipped.update(words.partition(":")[0] for words in row["skipped"])
        for kind, seconds in row["recoveries"].items():
            spells.setdefault(kind, []).extend(seconds)
    every = sorted(seconds for kind, each in spells.items() if kind != "end" for seconds in each)
    return {
        "seeds": [row["seed"] for row in rows],
        "scenario": rows[0]["scenario"] if rows else "",
        "without": rows[0]["without"] if rows else [],
        "faults": dict(sorted(faults.items())),
        "faults_total": faults.total(),
        "skipped": dict(skipped),
        "violations": [{"seed": row["seed"], **found} for row in rows for found in row["violations"]],
        "recovery_s": {"median": at(every, 0.5), "p99": at(every, 0.99), "max": at(every, 1.0)},
        "recoveries": {kind: sorted(each) for kind, each in sorted(spells.items())},
        "naked_s_max": max((row["naked_s_max"] for row in rows), default=0.0),
        "unresolved_s_max": max((row["unresolved_s_max"] for row in rows), default=0.0),
        **{name: sum(row[name] for row in rows) for name in _SUMS},
        "halts_released": dict(halts),
        "restarts": {name: count for name, count in restarts.items() if count},
        "load_max": max((row["load"] for row in rows), default=0.0),
        "elapsed_s": round(sum(row["elapsed_s"] for row in rows), 1),
    }


_SUMS = ("bars", "intents", "voided", "orders", "trades", "duplicates", "unresolved")


def table(told: dict[str, Any]) -> str:
    """Return the result as text: faults by kind with their recoveries, then the totals and every finding."""
    lines = [f"{'fault':<18}{'count':>6}{'skipped':>9}{'recovery median':>18}{'max':>8}   (s)"]
    for kind in sorted({*told["faults"], *told["skipped"]}):
        seconds = told["recoveries"].get(kind, [])
        middle, worst = at(seconds, 0.5), at(seconds, 1.0)
        count, skipped = told["faults"].get(kind, 0), told["skipped"].get(kind, 0)
        lines.append(f"{kind:<18}{count:>6}{skipped:>9}{_number(middle):>18}{_number(worst):>8}")
    recovery = told["recovery_s"]
    lines += [
        "",
        f"{told['faults_total']} faults over {len(told['seeds'])} seeds ({told['scenario']}), {told['bars']:,} bars",
        f"{told['intents']:,} intents ({told['voided']} lost with the bus, unread), {told['orders']:,} orders",
        f"recovery: median {_number(recovery['median'])} s, p99 {_number(recovery['p99'])} s",
        f"load of the machine: up to {told['load_max']:g}",
        f"longest without a stop: {told['naked_s_max']:.2f} s (bound 5)",
        f"longest in doubt: {told['unresolved_s_max']:.1f} s (bound 60), {told['unresolved']} orders were in doubt",
        f"orders doubled: {told['duplicates']}; violations: {len(told['violations'])}",
    ]
    for found in told["violations"][:40]:
        lines.append(f"  seed {found['seed']}: {found['invariant']}: {found['evidence']}")
    if told["violations"]:
        first = told["violations"][0]["seed"]
        lines.append(f"the same schedule again: omega chaos run {told['scenario']} --seed {first} --keep")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
