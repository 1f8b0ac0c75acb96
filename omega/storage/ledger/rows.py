"""Messages as rows of the tables. Pure; called by the sink."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from omega.bus.envelope import Envelope
from omega.bus.messages import (
    AnalysisMade,
    AuditNote,
    Command,
    CommandResult,
    ConfigChanged,
    DecisionMade,
    FundingPaid,
    HaltChanged,
    OrderEvent,
    StopEvent,
)
from omega.domain import AuditEntry, Fill, timeframe_ns
from omega.errors import ConfigError, CorruptData

Row = dict[str, Any]
_AUDIT = tuple(field.name for field in fields(AuditEntry))


def decision_row(envelope: Envelope, made: DecisionMade) -> Row:
    """Return the row of one decision."""
    decision = made.decision
    return {
        "message_id": envelope.id,
        "bot": made.bot,
        "strategy": made.strategy,
        "mode": made.mode.value,
        "symbol": made.symbol,
        "timeframe": made.timeframe,
        "bar_ts_ns": decision.bar_ts_ns,
        "made_ns": envelope.ts_ns,
        "price": decision.price,
        "side": decision.side,
        "exit": decision.exit,
        "size": decision.size,
        "stop": decision.stop,
        "targets": [list(target) for target in decision.targets],
        "leverage": decision.leverage,
        "confidence": decision.confidence,
        "reason": decision.reason,
        "audit": [{name: getattr(entry, name) for name in _AUDIT} for entry in decision.audit],
        "intents": list(made.intents),
        "position": made.position,
        "report": dict(made.report),
        "corr": envelope.corr,
    }


def mark_row(row: Row, *, every_bars: int) -> Row | None:
    """Return the equity mark of a decision's row, None for a bar that is not kept.

    Raises:
        CorruptData: the decision names no timeframe.
    """
    try:
        length = timeframe_ns(row["timeframe"])
    except ConfigError as error:
        raise CorruptData(f"decision {row['message_id']} of {row['bot']}: {error}") from error
    if row["bar_ts_ns"] // length % every_bars:
        return None
    kept = {name: row[name] for name in ("bot", "symbol", "bar_ts_ns", "price", "position")}
    return kept | {"close_ns": row["bar_ts_ns"] + length}


def order_row(envelope: Envelope, event: OrderEvent) -> Row:
    """Return the row of one step of an order."""
    return {
        "message_id": envelope.id,
        "bot": event.bot,
        "intent_id": event.intent_id,
        "client_id": event.client_id,
        "order_id": event.order_id,
        "venue": event.venue,
        "account": event.account,
        "symbol": event.symbol,
        "side": event.side.value,
        "size": event.size,
        "filled": event.filled,
        "role": event.role.value,
        "state": event.state.value,
        "reason": event.reason,
        "code": event.code,
        "ts_ns": event.ts_ns,
        "bar_ts_ns": event.bar_ts_ns,
        "latency_ns": event.latency_ns,
        "corr": envelope.corr,
    }


def fill_row(envelope: Envelope, fill: Fill) -> Row:
    """Return the row of one execution.

    Raises:
        CorruptData: its size or price is not above zero.
    """
    if not (fill.size > 0 and fill.price > 0):
        raise CorruptData(
            f"fill {fill.trade_id} of {fill.bot} has size {fill.size} at {fill.price}; look at the venue's trade"
        )
    return {
        "message_id": envelope.id,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_id": fill.client_id,
        "bot": fill.bot,
        "venue": fill.venue,
        "account": fill.account,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "price": fill.price,
        "size": fill.size,
        "fee": fill.fee,
        "fee_coin": fill.fee_coin,
        "role": fill.role.value,
        "maker": fill.maker,
        "ts_ns": fill.ts_ns,
        "corr": envelope.corr,
    }


def funding_row(envelope: Envelope, paid: FundingPaid) -> Row:
    """Return the row of one funding payment."""
    return asdict(paid) | {"message_id": envelope.id}


def stop_row(envelope: Envelope, event: StopEvent) -> Row:
    """Return the row of one change of a stop."""
    return asdict(event) | {"message_id": envelope.id, "state": event.state.value}


def halt_row(envelope: Envelope, halt: HaltChanged) -> Row:
    """Return the row of one halt or release."""
    row = asdict(halt) | {"message_id": envelope.id, "actor": halt.by}
    for name in ("by", "scope", "name", "level"):
        del row[name]
    if halt.scope != "account":
        row["reason"] = f"{halt.scope} {halt.name}: {halt.reason}"
    return row


def command_row(envelope: Envelope, command: Command) -> Row:
    """Return the row of one command."""
    row = asdict(command) | {"verb": command.verb.value, "ts_ns": envelope.ts_ns}
    if params := row.pop("params"):
        row["reason"] = f"{command.reason} ({', '.join(f'{name} {value}' for name, value in params.items())})"
    return row


def result_row(envelope: Envelope, result: CommandResult) -> Row:
    """Return the row of one stage of a command."""
    return asdict(result) | {"message_id": envelope.id, "ts_ns": envelope.ts_ns}


def config_row(envelope: Envelope, change: ConfigChanged) -> Row:
    """Return the row of one applied or refused configuration."""
    changes = {"changes": list(change.changes)}
    return asdict(change) | changes | {"message_id": envelope.id, "source": envelope.source, "ts_ns": envelope.ts_ns}


def audit_row(envelope: Envelope, note: AuditNote) -> Row:
    """Return the row of one audit note."""
    return asdict(note) | {"message_id": envelope.id, "ts_ns": envelope.ts_ns}


def analysis_row(envelope: Envelope, made: AnalysisMade) -> Row:
    """Return the row of one analysis.

    Raises:
        CorruptData: its result is no JSON object.
    """
    try:
        result = json.loads(made.result)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise CorruptData(f"analysis {envelope.id} of {made.symbol} is no JSON object; look at who sent it")
    fixed = {"message_id": envelope.id, "corr": envelope.corr, "source": envelope.source, "made_ns": envelope.ts_ns}
    return asdict(made) | fixed | {"result": result}
