"""Every message of the farm: its fields, its class (signal or record), its version. The bus routes by these rows.

A message is a frozen dataclass; domain values travel as they are. Additive changes keep the version; a new meaning is
a new version with an upcaster (`omega.bus.versions`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from omega.domain import Bar, Decision, Fill, Intent, Mode, OrderState, Reading, Role, Side

Scalar = str | int | float | bool


class MessageClass(StrEnum):
    """The two classes of message (design, the bus)."""

    SIGNAL = "signal"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A bar has closed. The gateway sends each bar once, in order, and none that it cannot prove closed."""

    venue: str
    symbol: str
    timeframe: str
    bar: Bar
    received_ns: int
    """When the gateway had the bar in hand (wall clock, ns UTC): the start of the bar-to-order latency."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of a symbol, conflated. Prices in quote currency; ts_ns is the venue's time.

    What the venue does not tell is None: sizes at the best prices in base units, the coming funding rate and the change
    over 24 hours as fractions.
    """

    venue: str
    symbol: str
    bid: float
    ask: float
    last: float
    mark: float
    ts_ns: int
    bid_size: float | None = None
    ask_size: float | None = None
    funding: float | None = None
    change_24h: float | None = None


@dataclass(frozen=True, slots=True)
class ConsensusPrice:
    """What several venues agree a symbol is worth, as the gateway of one venue sees it.

    Prices in quote currency, 0 without a quorum; spread a fraction; age_s of the oldest member. `rejected` tells why a
    venue does not count, `quarantined` which ones have drifted.
    """

    venue: str
    symbol: str
    price: float
    spread: float
    age_s: float
    members: tuple[str, ...]
    rejected: dict[str, str]
    quarantined: tuple[str, ...]
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A service lives. Its absence is the message."""

    service: str
    instance: str
    state: str
    epoch: int
    details: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MindStatus:
    """A trader's state of mind: emotion in words, metrics in [0, 1], streaks counted.

    `profile` names whose it is, `regime` the market that its traits follow, empty where they are fixed; `sizes` is the
    factor on the size of an entry just now, `live` whether it may only shrink risk.
    """

    profile: str
    emotion: str
    confidence: float
    risk: float
    stress: float
    intuition: float
    connection: float
    wins: int
    losses: int
    balanced: int
    regime: str
    sizes: float
    live: bool


@dataclass(frozen=True, slots=True)
class BotStatus:
    """What a runner knows of its bot, for tables, Discord and dashboards."""

    bot: str
    strategy: str
    mode: Mode
    venue: str
    account: str
    symbol: str
    timeframe: str
    state: str
    read_only: bool
    bar_ts_ns: int
    price: float
    position: Decimal
    entry: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    equity: Decimal
    decisions: int
    intents: int
    orders: int
    fills: int
    last_action: str
    reason: str
    emotion: str = ""
    """The trader's emotion, empty where psychology is off."""
    mind: MindStatus | None = None
    """The whole state of mind, where there is one."""


@dataclass(frozen=True, slots=True)
class BookLine:
    """One book on the account: a bot's virtual position in one symbol with the stop that guards it at the venue."""

    bot: str
    symbol: str
    size: Decimal
    entry: Decimal
    mark: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    stop_size: Decimal
    stop_trigger: Decimal
    naked_s: float


@dataclass(frozen=True, slots=True)
class SymbolUse:
    """What an account has at stake in one symbol, reservations included; notionals in quote currency.

    `long` is what it is net long if every reserved buy fills and no sell does, `short` the opposite; negative where it
    stays on the other side all the same.
    """

    symbol: str
    gross: Decimal
    long: Decimal
    short: Decimal


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The gateway's view of one account: money, books, residuals, doubts."""

    venue: str
    account: str
    mode: Mode
    equity: Decimal
    available: Decimal
    books: tuple[BookLine, ...]
    venue_positions: dict[str, Decimal]
    residuals: dict[str, Decimal]
    unresolved: int
    naked_s_max: float
    halted: bool
    halt_reason: str
    connected: bool
    ts_ns: int
    uses: tuple[SymbolUse, ...] = ()
    """What fleet limits count of this account."""
    orders_per_minute: int = 0
    day_loss: Decimal = Decimal(0)
    """Loss since 00:00 UTC in quote currency, negative for a profit."""
    day_equity: Decimal = Decimal(0)
    """Equity at 00:00 UTC."""


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A runner has decided on a bar; `intents` names what it sent for it. One for every bot and bar."""

    bot: str
    strategy: str
    mode: Mode
    symbol: str
    timeframe: str
    decision: Decision
    intents: tuple[str, ...]
    position: Decimal
    report: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RiskVerdict:
    """What the gate said of an intent, and the limit that decided: the one broken, else the one closest to its bound.

    Units: before, after and bound in the measure's own unit (see docs/howto/risk.md). `measure` is empty where no limit
    was asked: exits, and intents that an earlier rule denied.
    """

    allowed: bool
    rule: str
    """The rule that denied; empty when allowed."""
    scope: str = ""
    name: str = ""
    measure: str = ""
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    bound: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An order has changed its state. `reason` says why in words, `code` is the venue's own."""

    bot: str
    intent_id: str
    client_id: str
    order_id: str
    venue: str
    account: str
    symbol: str
    side: Side
    size: Decimal
    role: Role
    state: OrderState
    filled: Decimal
    reason: str
    code: str
    ts_ns: int
    bar_ts_ns: int = 0
    latency_ns: int = 0
    """From the bar in the gateway's hand to the request leaving it; 0 when unknown."""
    verdict: RiskVerdict | None = None
    """The gate's verdict, on the first event of an intent's order alone."""


class StopState(StrEnum):
    """What has become of a protective stop."""

    PLACED = "placed"
    MOVED = "moved"
    REMOVED = "removed"
    FIRED = "fired"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class StopEvent:
    """A protective stop at the venue has changed."""

    bot: str
    venue: str
    account: str
    symbol: str
    size: Decimal
    trigger: Decimal
    state: StopState
    client_id: str
    order_id: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """A funding payment, shared out to the books by size. amount in quote currency, positive = received."""

    bot: str
    venue: str
    account: str
    symbol: str
    amount: Decimal
    funding_id: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class HaltChanged:
    """Entries of an account, or of one scope on it, are halted, or released by a named human."""

    venue: str
    account: str
    halted: bool
    reason: str
    by: str
    ts_ns: int
    scope: str = "account"
    name: str = ""
    level: str = "reduce_only"
    """reduce_only, or flatten: positions of the scope are closed too."""


class Verb(StrEnum):
    """What a person may tell a bot, an account or the farm."""

    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    STOP = "stop"
    FLATTEN = "flatten"
    HALT = "halt"
    RELEASE = "release"
    LIMIT = "limit"
    ADOPT = "adopt"
    """Give a position that nobody's orders made to a bot, or close it."""
    CALM = "calm"
    """Let a trader's state of mind begin anew."""
    STIR = "stir"
    """Tell a trader of a market event."""


RISK_REDUCING = frozenset({Verb.PAUSE, Verb.DRAIN, Verb.STOP, Verb.FLATTEN, Verb.HALT})
"""Verbs that never expire; the others do after ten seconds."""


@dataclass(frozen=True, slots=True)
class Command:
    """A person's order to the farm. `target` is a bot's name, `farm`, or `@risk` for the gates of all accounts.

    `command_id` makes it idempotent; `params` say what a verb needs beyond its target: `adopt` takes symbol, and stop,
    target, size or close; `stir` takes event.
    """

    command_id: str
    verb: Verb
    target: str
    actor: str
    reason: str
    params: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How far a command has come in one service: accepted, applied, refused, confirmed."""

    command_id: str
    service: str
    target: str
    stage: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """A configuration was applied at a bar boundary, or refused and the last good one kept."""

    service: str
    generation: int
    applied: bool
    changes: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class AuditNote:
    """Who did, or tried, what, from where, and what came of it."""

    actor: str
    source: str
    action: str
    subject: str
    outcome: str
    details: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnalysisMade:
    """An analysis was made, on request or on a timer; the envelope's corr is that of the request, where there was one.

    `result` is a JSON text (`omega.analytics.analysis.as_json`), `params` what was asked for beyond the defaults.
    """

    analysis: str
    symbol: str
    timeframe: str
    as_of_ns: int
    params: dict[str, Scalar]
    result: str


@dataclass(frozen=True, slots=True)
class Request:
    """A question to a service; answered on the asker's own reply topic until the envelope's deadline."""

    service: str
    method: str
    params: dict[str, Scalar]
    reply_to: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request: a JSON text, or an error by class name and words."""

    request_id: str
    ok: bool
    result: str
    error: str
    message: str


Message = (
    BarClosed
    | Quote
    | ConsensusPrice
    | Heartbeat
    | BotStatus
    | AccountStatus
    | Reading
    | Intent
    | DecisionMade
    | OrderEvent
    | Fill
    | StopEvent
    | FundingPaid
    | HaltChanged
    | Command
    | CommandResult
    | ConfigChanged
    | AuditNote
    | AnalysisMade
    | Request
    | Reply
)


@dataclass(frozen=True, slots=True)
class Spec:
    """How one message type travels.

    Attributes:
        name: the `type` on the wire.
        cls: the dataclass.
        delivery: signal or record.
        version: the version that is written today.
        keep: entries that a stream keeps, approximately; 0 for a signal.
        producers: the services that send it (for the topic map and the Redis rights).
        consumers: the services that read it.
        groups: those of them that drain it as a consumer group; they alone may acknowledge.
    """

    name: str
    cls: type
    delivery: MessageClass
    version: int
    keep: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    groups: tuple[str, ...] = ()


_S, _R = MessageClass.SIGNAL, MessageClass.RECORD
ANY = "every service"

SPECS: tuple[Spec, ...] = (
    Spec("md.bar", BarClosed, _R, 1, 2_000, ("gateway",), ("runner", "cosmic", "analytics")),
    Spec("md.quote", Quote, _S, 1, 0, ("gateway",), ("cosmic", "discord_bot", "cli")),
    Spec("md.consensus", ConsensusPrice, _S, 1, 0, ("gateway",), ("runner", "discord_bot", "cli")),
    Spec("heartbeat", Heartbeat, _S, 1, 0, (ANY,), ("discord_bot", "cli")),
    Spec("bot.status", BotStatus, _S, 1, 0, ("runner",), ("discord_bot", "cli")),
    Spec(
        "account.status",
        AccountStatus,
        _S,
        1,
        0,
        ("gateway",),
        ("runner", "discord_bot", "cli", "gateway", "analytics"),
    ),
    Spec("cosmic.reading", Reading, _S, 1, 0, ("cosmic",), ("discord_bot", "runner")),
    Spec("intent", Intent, _R, 1, 100_000, ("runner",), ("gateway", "ledger"), groups=("gateway", "ledger")),
    Spec("decision", DecisionMade, _R, 1, 200_000, ("runner",), ("ledger", "discord_bot", "cli"), groups=("ledger",)),
    Spec(
        "order.event",
        OrderEvent,
        _R,
        1,
        200_000,
        ("gateway",),
        ("runner", "ledger", "discord_bot", "cli"),
        groups=("ledger", "discord_bot"),
    ),
    Spec(
        "fill",
        Fill,
        _R,
        1,
        200_000,
        ("gateway",),
        ("runner", "ledger", "discord_bot", "cli"),
        groups=("ledger", "discord_bot"),
    ),
    Spec(
        "stop.event",
        StopEvent,
        _R,
        1,
        200_000,
        ("gateway",),
        ("runner", "ledger", "discord_bot"),
        groups=("ledger", "discord_bot"),
    ),
    Spec("funding", FundingPaid, _R, 1, 200_000, ("gateway",), ("runner", "ledger"), groups=("ledger",)),
    Spec(
        "halt.changed",
        HaltChanged,
        _R,
        1,
        200_000,
        ("gateway",),
        ("ledger", "discord_bot"),
        groups=("ledger", "discord_bot"),
    ),
    Spec(
        "command",
        Command,
        _R,
        1,
        10_000,
        ("discord_bot", "cli"),
        ("gateway", "runner", "ledger"),
        groups=("gateway", "ledger"),
    ),
    Spec(
        "command.result",
        CommandResult,
        _R,
        1,
        10_000,
        ("gateway", "runner"),
        ("ledger", "discord_bot", "cli"),
        groups=("ledger",),
    ),
    Spec("config.changed", ConfigChanged, _R, 1, 10_000, (ANY,), ("ledger", "discord_bot"), groups=("ledger",)),
    Spec("audit", AuditNote, _R, 1, 50_000, ("discord_bot", "cli", "gateway"), ("ledger",), groups=("ledger",)),
    Spec("analysis", AnalysisMade, _R, 1, 500, ("analytics",), ("ledger", "cli"), groups=("ledger",)),
    Spec(
        "request",
        Request,
        _R,
        1,
        1_000,
        ("discord_bot", "cli", "runner", "analytics"),
        ("cosmic", "gateway", "ledger", "analytics"),
        groups=("cosmic", "gateway", "ledger", "analytics"),
    ),
    Spec(
        "reply",
        Reply,
        _S,
        1,
        0,
        ("cosmic", "gateway", "ledger", "analytics"),
        ("discord_bot", "cli", "runner", "analytics"),
    ),
)

ASKS: dict[str, tuple[str, ...]] = {
    "discord_bot": ("cosmic", "gateway", "ledger", "analytics"),
    "cli": ("cosmic", "gateway", "ledger", "analytics"),
    "runner": ("cosmic",),
    "analytics": ("ledger",),
}
"""Whom a service may ask: a bot asks the sky and nobody who can move money."""

BY_NAME: dict[str, Spec] = {spec.name: spec for spec in SPECS}
BY_CLASS: dict[type, Spec] = {spec.cls: spec for spec in SPECS}
