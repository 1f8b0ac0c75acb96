"""The one JSON object that `omega up` ends with: what was done, how fast, and whether the invariants held."""

from __future__ import annotations

import os
from typing import Any

from omega.cli.farm.composition import Farm
from omega.errors import OmegaError


async def result(farm: Farm) -> dict[str, Any]:
    """Collect the result of a run; the invariants come from the gateway, which reads them from the venue."""
    observer, conductor = farm.observer, farm.conductor
    bots = {
        name: {
            "decisions": tally.decisions,
            "intents": len(tally.intents),
            "orders": len(tally.orders),
            "denied": tally.denied,
            "rejected": tally.rejected,
            "fills": tally.fills,
            "position": str(tally.position),
            "pnl": round(float(tally.pnl), 6),
            "trades": sum(book.trades for book in tally.books.values()),
        }
        for name, tally in observer.bots.items()
    }
    bars = conductor.bars if conductor else max((tally.decisions for tally in observer.bots.values()), default=0)
    elapsed = conductor.elapsed_s if conductor else 0.0
    return {
        "bars": bars,
        "bars_per_s": round(bars / elapsed, 1) if elapsed else None,
        "elapsed_s": round(elapsed, 3),
        "speed": farm.options.speed,
        "seed": farm.options.seed,
        "bots": bots,
        "orders_total": sum(len(tally.orders) for tally in observer.bots.values()),
        "fills_total": sum(tally.fills for tally in observer.bots.values()),
        "fills": [_fill(fill) for fill in observer.fill_log],
        "latency_ms": _latency(observer.latencies_ns),
        "first_fill_s": round(observer.first_fill_s, 3) if observer.first_fill_s is not None else None,
        "ready_s": round(farm.ready_after_s, 3),
        "processes": [
            {
                "name": child.name,
                "pid": child.pid,
                "rss_mb": child.rss_mb(),
                "cpu_s": child.cpu_s(),
                "restarts": child.restarts,
                "ready_s": round(child.ready_s, 3),
            }
            for child in farm.processes.children.values()
        ],
        "conductor_cpu_s": round(sum(os.times()[:2]), 2),
        "invariants": await _invariants(farm),
        "ledger": await _ledger(farm),
        "home": str(farm.options.home),
    }


def _latency(values_ns: list[int]) -> dict[str, Any]:
    """From the bar in the gateway's hand to the order request leaving it."""
    if not values_ns:
        return {"orders": 0, "p50": None, "p99": None}
    ranked = sorted(values_ns)
    at = [ranked[min(len(ranked) - 1, int(len(ranked) * share))] / 1e6 for share in (0.5, 0.99)]
    return {"orders": len(ranked), "p50": round(at[0], 3), "p99": round(at[1], 3)}


def _fill(fill: Any) -> dict[str, str]:
    return {
        "bot": fill.bot,
        "symbol": fill.symbol,
        "client_id": fill.client_id,
        "side": fill.side.value,
        "role": fill.role.value,
        "price": str(fill.price),
        "size": str(fill.size),
        "fee": str(fill.fee),
        "ts_ns": str(fill.ts_ns),
    }


async def _invariants(farm: Farm) -> dict[str, Any]:
    try:
        return await farm.ask_gateway("invariants")
    except OmegaError as error:
        return {
            "books_equal_venue": False,
            "every_position_has_stop": False,
            "duplicate_client_ids": None,
            "naked_seconds_max": None,
            "error": f"{type(error).__name__}: {error}",
        }


async def _ledger(farm: Farm) -> Any:
    try:
        await farm.bus.ask("ledger", "settle", within_ns=20_000_000_000)
        return await farm.bus.ask("ledger", "summary", within_ns=10_000_000_000)
    except OmegaError as error:
        return {"error": f"{type(error).__name__}: {error}"}
