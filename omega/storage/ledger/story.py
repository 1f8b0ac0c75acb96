"""The story of one order out of the database: signal, interceptors, intent, risk, order, fills, stop. For `omega why`.

Every step carries its time and what took it; what the database cannot tell is said in `unknown`. Records that belong to
the order and have no table of their own are told from the chain, whatever their type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Table, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.domain import timeframe_ns
from omega.domain.time import iso
from omega.storage.tables import decisions, events, fills, order_events, orders, stops

Row = dict[str, Any]
_AT_MOST: Final = 500
_OWN_TABLES: Final = frozenset({"decision", "order.event", "fill", "stop.event"})
"""Types that are told from their tables."""
_RANK: Final = {"signal": 0, "interceptor": 1, "decision": 2, "intent": 3, "risk": 4}
"""The order of steps that have the same time."""
_HOUR_NS: Final = 3_600_000_000_000
_VERDICT: Final = ("risk", "verdict")
_DENIED: Final = "denied"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Attributes:
        at_ns: when, by the clock of who did it.
        what: signal, interceptor, decision, intent, risk, order, fill, stop or another record's type.
        words: one line for people.
        details: everything that is known of it.
        after_ns: time since the step before; 0 at the first.
    """

    at_ns: int
    what: str
    words: str
    details: Mapping[str, Any]
    after_ns: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """The steps of one order in time, and what is not known of it."""

    reference: str
    order: Row
    steps: tuple[Step, ...]
    unknown: tuple[str, ...]
    durations_ns: Mapping[str, int] = field(default_factory=dict)


async def story_of(connection: AsyncConnection, reference: str) -> Story | None:
    """Tell the story of an order by its client, venue or intent id, or by the id of one of its trades.

    Returns:
        None when the database knows no such order.
    """
    order = await _order(connection, reference)
    if order is None:
        return None
    mine = (
        order_events.c.client_id == order["client_id"] if order["client_id"] else order_events.c.order_id == reference
    )
    changes = await _rows(connection, order_events, mine, order_events.c.ts_ns)
    same = fills.c.client_id == order["client_id"] if order["client_id"] else fills.c.order_id == order["order_id"]
    filled = await _rows(connection, fills, same, fills.c.ts_ns)
    decision = await _decision(connection, order)
    guards = await _stops(connection, order, filled)
    others = await _others(connection, order, [*changes, *filled, *([decision] if decision else [])])
    await _stamp(connection, [*changes, *filled, *guards])
    wished = [row["ts_ns"] for row in others if row["type"] == "intent"]
    if decision:
        # A runner sends its intents first and then the decision that they belong to.
        decision["sent_ns"] = min([decision["made_ns"], *wished])
    steps = [
        *(_signal(decision) if decision else []),
        *(_other(row) for row in others),
        *(_verdict(row) for row in changes if row["verdict"]),
        *(_change(row) for row in changes),
        *(_fill(row) for row in filled),
        *(_stop(row) for row in guards),
    ]
    ordered = _timed(sorted(steps, key=lambda step: (step.at_ns, _RANK.get(step.what, len(_RANK)))))
    unknown = _unknown(order, decision, others, changes, filled, guards)
    return Story(reference, order, ordered, tuple(unknown), _durations(order, decision, changes, filled, guards))


async def _order(connection: AsyncConnection, reference: str) -> Row | None:
    match = or_(orders.c.client_id == reference, orders.c.order_id == reference, orders.c.intent_id == reference)
    found = await _rows(connection, orders, match, orders.c.opened_ns, limit=1)
    if found:
        return found[0]
    traded = await _rows(connection, fills, fills.c.trade_id == reference, fills.c.ts_ns, limit=1)
    if not traded:
        return None
    fill = traded[0]
    match = orders.c.client_id == fill["client_id"] if fill["client_id"] else orders.c.order_id == fill["order_id"]
    found = await _rows(connection, orders, match, orders.c.opened_ns, limit=1)
    return found[0] if found else _order_of(fill)


def _order_of(fill: Row) -> Row:
    """Return what a fill says of an order that has no events."""
    names = ("venue", "account", "bot", "client_id", "order_id", "symbol", "side", "size", "role")
    blank = {"intent_id": "", "bar_ts_ns": 0, "state": "filled", "reason": "", "code": "", "latency_ns": 0}
    times = {"opened_ns": fill["ts_ns"], "updated_ns": fill["ts_ns"]}
    return {name: fill[name] for name in names} | blank | times | {"filled": fill["size"]}


async def _decision(connection: AsyncConnection, order: Row) -> Row | None:
    mine = and_(
        decisions.c.bot == order["bot"],
        decisions.c.symbol == order["symbol"],
        decisions.c.bar_ts_ns == order["bar_ts_ns"],
    )
    found = await _rows(connection, decisions, mine, decisions.c.made_ns, limit=1)
    return found[0] if found else None


async def _stops(connection: AsyncConnection, order: Row, filled: list[Row]) -> list[Row]:
    """Return what happened to the stop of the position from this order until the next order of the bot."""
    if not filled:
        return []
    scope = and_(orders.c.bot == order["bot"], orders.c.symbol == order["symbol"], orders.c.role != "stop")
    later = await _rows(
        connection, orders, scope & (orders.c.opened_ns > order["updated_ns"]), orders.c.opened_ns, limit=1
    )
    mine = and_(
        stops.c.bot == order["bot"], stops.c.symbol == order["symbol"], stops.c.account == order["account"],
        stops.c.ts_ns >= order["opened_ns"],
    )  # fmt: skip
    if later:
        mine &= stops.c.ts_ns <= later[0]["opened_ns"]
    return await _rows(connection, stops, mine, stops.c.ts_ns)


async def _stamp(connection: AsyncConnection, rows: list[Row]) -> None:
    """Give every row what its record alone tells: when it was sent, by the sender's clock, and the gate's verdict."""
    ids = [row["message_id"] for row in rows]
    query = select(events.c.message_id, events.c.ts_ns, events.c.record).where(events.c.message_id.in_(ids))
    sent = {row.message_id: row for row in await connection.execute(query)}
    for row in rows:
        found = sent.get(row["message_id"])
        row["sent_ns"] = found.ts_ns if found else row["ts_ns"]
        row["verdict"] = from_json(found.record)["data"].get("verdict") if found else None


async def _others(connection: AsyncConnection, order: Row, told: list[Row]) -> list[Row]:
    """Return records of the same correlation that are about this order and are not told from a table."""
    correlations = sorted({row["corr"] for row in told if row["corr"]})
    if not correlations:
        return []
    found = await _rows(connection, events, events.c.corr.in_(correlations), events.c.number)
    ids = {order["intent_id"], order["client_id"], order["order_id"]} - {""}
    rows = [row | {"data": from_json(row["record"]).get("data", {})} for row in found if row["type"] not in _OWN_TABLES]
    named = ("intent_id", "client_id", "order_id")
    return [
        row for row in rows if not ids or not any(row["data"].get(n) for n in named) or ids & _ids(row["data"], named)
    ]


def _ids(data: Mapping[str, Any], names: tuple[str, ...]) -> set[str]:
    return {str(data[name]) for name in names if data.get(name)}


async def _rows(
    connection: AsyncConnection, table: Table, match: Any, order: Any, *, limit: int = _AT_MOST
) -> list[Row]:
    rows = await connection.execute(select(table).where(match).order_by(order).limit(limit))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _signal(made: Row) -> list[Step]:
    close_ns = made["bar_ts_ns"] + timeframe_ns(made["timeframe"])
    side = {1: "long", -1: "short"}.get(made["side"], "exit" if made["exit"] else "no side")
    signal = {name: made[name] for name in ("strategy", "symbol", "timeframe", "bar_ts_ns", "price", "confidence")}
    words = (
        f"{made['strategy']} saw {made['reason'] or 'no reason'}: {side} at {made['price']}, bar closed {iso(close_ns)}"
    )
    at_ns = made["sent_ns"]
    steps = [Step(at_ns, "signal", words, signal | {"reason": made["reason"], "report": made["report"]})]
    for entry in made["audit"]:
        change = f"{entry['field']} {entry['before']} -> {entry['after']}"
        steps.append(Step(at_ns, "interceptor", f"{entry['stage']}: {change} ({entry['why']})", entry))
    kept = ("size", "stop", "targets", "leverage", "intents", "position")
    words = f"size {made['size']}, stop {made['stop']}, leverage {made['leverage']}, mode {made['mode']}"
    steps.append(Step(at_ns, "decision", words, {name: made[name] for name in kept}))
    return steps


def _other(row: Row) -> Step:
    data = row["data"]
    if row["type"] == "intent":
        words = f"{data.get('action')} {data.get('side')} {data.get('size')} sent to the gateway"
        return Step(row["ts_ns"], "intent", words, data)
    verdict = any(word in row["type"] for word in _VERDICT)
    words = ", ".join(
        f"{name} {value}" for name, value in data.items() if isinstance(value, str | int | float) and value != ""
    )
    return Step(row["ts_ns"], "risk" if verdict else row["type"], words, data)


def _verdict(row: Row) -> Step:
    """Tell what the gate said, and by which limit; it travels on the first event of the order."""
    said = row["verdict"]
    words = "allowed" if said["allowed"] else f"denied by {said['rule']}"
    if said.get("measure"):
        change = f"{said['before']} -> {said['after']} of {said['bound']}"
        words += f"; closest limit {said['scope']} {said['name']} {said['measure']}: {change}"
    return Step(row["sent_ns"], "risk", words, said)


def _change(row: Row) -> Step:
    why = " ".join(word for word in (row["reason"], f"[{row['code']}]" if row["code"] else "") if word)
    words = f"{row['state']}{': ' + why if why else ''}"
    kept = ("state", "order_id", "client_id", "size", "filled", "reason", "code", "latency_ns")
    what = "risk" if row["state"] == _DENIED else "order"
    return Step(row["sent_ns"], what, words, {name: row[name] for name in kept})


def _fill(row: Row) -> Step:
    maker = "maker" if row["maker"] else "taker"
    words = f"{row['side']} {row['size']} at {row['price']}, fee {row['fee']} {row['fee_coin']} ({maker})"
    return Step(row["sent_ns"], "fill", words, row)


def _stop(row: Row) -> Step:
    return Step(row["sent_ns"], "stop", f"{row['state']}: {row['size']} at {row['trigger']}", row)


def _timed(steps: list[Step]) -> tuple[Step, ...]:
    timed, before = [], steps[0].at_ns if steps else 0
    for step in steps:
        timed.append(Step(step.at_ns, step.what, step.words, step.details, step.at_ns - before))
        before = step.at_ns
    return tuple(timed)


def _durations(
    order: Row, decision: Row | None, changes: list[Row], filled: list[Row], guards: list[Row]
) -> dict[str, int]:
    """Return the times between the milestones that are known."""
    marks: dict[str, int] = {}
    if decision:
        close_ns = decision["bar_ts_ns"] + timeframe_ns(decision["timeframe"])
        if _same_clock(decision):
            marks["bar_closed"] = close_ns
        marks["decided"] = decision["sent_ns"]
    if changes:
        marks["ordered"] = changes[0]["sent_ns"]
    if filled:
        times = [row["sent_ns"] for row in filled]
        marks["first_fill"], marks["last_fill"] = min(times), max(times)
    placed = [row["sent_ns"] for row in guards if row["state"] == "placed"]
    if placed:
        marks["stop_placed"] = placed[0]
    names = list(marks)
    found = {f"{old}_to_{new}": marks[new] - marks[old] for old, new in pairwise(names)}
    return found | ({"bar_in_hand_to_request": order["latency_ns"]} if order["latency_ns"] else {})


def _same_clock(decision: Row) -> bool:
    """Tell whether the bars come from the time in which the decision was made, and not from a replay."""
    late_ns = decision["sent_ns"] - decision["bar_ts_ns"] - timeframe_ns(decision["timeframe"])
    return bool(0 <= late_ns < _HOUR_NS)


def _unknown(
    order: Row, decision: Row | None, others: list[Row], changes: list[Row], filled: list[Row], guards: list[Row]
) -> list[str]:
    """Say what the database cannot tell, and why that may be."""
    unknown: list[str] = []
    if decision is None:
        why = "the gateway's own order, one of a person's, or older than what is kept"
        unknown.append(f"signal and decision: none is kept for this order ({why})")
    elif not _same_clock(decision):
        unknown.append("time from the bar's close to the decision: the market's clock is a replay's")
    if not any(row["type"] == "intent" for row in others):
        unknown.append("intent: its record is not in the database (archived, from before the chain, or never sent)")
    denied = any(row["state"] == _DENIED for row in changes)
    told = any(row["verdict"] for row in changes) or any(
        any(word in row["type"] for word in _VERDICT) for row in others
    )
    if not denied and not told:
        sent = any(row["state"] not in {"intent", _DENIED} for row in changes)
        words = "that it was sent says that it passed" if sent else "nothing says whether it passed"
        unknown.append(f"risk verdict: no record of its own; {words}")
    if not changes:
        unknown.append("order: no change of its state is kept")
    if filled and order["role"] == "entry" and not guards:
        unknown.append("stop: no event of a protective stop is kept for this entry")
    if order["state"] == "filled" and not filled:
        unknown.append("fills: the order is filled and none of its fills is kept")
    if not order["latency_ns"]:
        unknown.append("latency from the bar to the request: the gateway did not measure it for this order")
    return unknown
