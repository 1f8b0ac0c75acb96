"""Every metric and alert of the farm, declared once. Metrics, dashboards, rules and docs are made from these rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "omega_"


class Kind(StrEnum):
    """The kinds of metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


FAST = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5)
"""Buckets in seconds for what happens inside the farm."""
SLOW = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
"""Buckets in seconds for arithmetic that a person waits for."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without the prefix of the farm; counters end in `_total`.
        kind: counter, gauge or histogram.
        unit: what it counts; names end in the unit where Prometheus wants it.
        labels: label names, bounded in number of values.
        help: one sentence.
        area: the dashboard row it belongs to.
        buckets: upper bounds of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    area: str
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name on the wire."""
        return PREFIX + self.name

    @property
    def expression(self) -> str:
        """The query that shows it: a rate, a value, or the 99th percentile."""
        by = ", ".join(self.labels)
        if self.kind is Kind.COUNTER:
            return f"sum by ({by}) (rate({self.full_name}[1m]))"
        if self.kind is Kind.HISTOGRAM:
            labels = ", ".join(("le", *self.labels))
            return f"histogram_quantile(0.99, sum by ({labels}) (rate({self.full_name}_bucket[5m])))"
        return f"max by ({by}) ({self.full_name})" if by else f"max({self.full_name})"


class Severity(StrEnum):
    """How soon somebody must look."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule.

    Attributes:
        name: CamelCase, as Prometheus shows it.
        expression: PromQL; true means trouble.
        for_: how long it must be true.
        severity: page or ticket.
        summary: one sentence, may use Prometheus' `{{ $labels.x }}`.
        runbook: the page that says what to do.
    """

    name: str
    expression: str
    for_: str
    severity: Severity
    summary: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A figure that Prometheus computes for itself and keeps: a KPI whose history must not cost a long query.

    Attributes:
        name: `level:subject:operation`, as Prometheus wants recorded names.
        expression: PromQL over catalogued metrics.
        unit: what it counts.
        help: one sentence; the title of its panel.
    """

    name: str
    expression: str
    unit: str
    help: str


def _counter(name: str, labels: str, text: str, area: str, unit: str = "1") -> Metric:
    return Metric(name, Kind.COUNTER, unit, tuple(labels.split()), text, area)


def _gauge(name: str, labels: str, text: str, area: str, unit: str = "1") -> Metric:
    return Metric(name, Kind.GAUGE, unit, tuple(labels.split()), text, area)


def _histogram(name: str, labels: str, text: str, area: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, "s", tuple(labels.split()), text, area, buckets)


METRICS: tuple[Metric, ...] = (
    # every service, from the base
    _gauge("service_info", "service instance version", "Always 1; says who answers.", "services"),
    _gauge("service_up", "service", "1 while the process runs.", "services"),
    _gauge("ready", "service", "1 while the service is ready.", "services"),
    _gauge("service_state", "service state", "1 for the state of life the service is in.", "services"),
    _gauge("uptime_seconds", "service", "Time since the start.", "services", "s"),
    _counter("messages_total", "service type", "Messages handled.", "services"),
    _histogram("handler_seconds", "service type", "Time a message took in its handler.", "services", FAST),
    _counter("errors_total", "class service", "Errors by class of the error tree.", "services"),
    _counter("task_restarts_total", "service task", "Restarts of supervised tasks.", "services"),
    _gauge("tasks_failing", "service", "Supervised tasks that wait for their restart.", "services"),
    _gauge("consciousness_level", "service", "Feature level of the service; moves no trade.", "services"),
    _gauge("quantum_coherence", "service", "Smoothed share of messages handled without error.", "services"),
    _gauge("bioresonance", "service", "Regularity of the heartbeat, 1 = on time.", "services"),
    _gauge("consciousness_field", "service", "Mean of coherence and bioresonance.", "services"),
    _gauge("config_generation", "service", "Generations of settings applied since the start.", "services"),
    _counter("config_rejected_total", "service", "Settings refused, the last good ones kept.", "services"),
    _gauge("config_restart_required", "service", "Changed settings that wait for a restart.", "services"),
    _gauge("lease_held", "service name", "1 while this process holds the lease.", "services"),
    _gauge("lease_epoch", "service name", "Epoch of the lease held.", "services"),
    # what a process uses, from the base
    _counter("process_cpu_seconds_total", "service", "Processor time used; 1 a second = a core.", "machine", "s"),
    _gauge("process_memory_bytes", "service", "Memory that the process holds.", "machine", "bytes"),
    _gauge("process_memory_limit_bytes", "service", "Memory it may hold, 0 = no limit.", "machine", "bytes"),
    _gauge("process_sockets", "service", "Open connections, and ports that it listens on.", "machine"),
    _histogram("collector_pause_seconds", "service generation", "Pauses of the garbage collector.", "machine", FAST),
    _gauge("collector_frozen", "service", "Objects of the start that the collector leaves alone.", "machine"),
    # bus
    _gauge("bus_state", "service", "0 connected, 1 degraded, 2 isolated.", "bus"),
    _counter("bus_messages_total", "service direction", "Messages sent, received, buffered.", "bus"),
    _counter("bus_gaps_total", "service", "Holes in a sequence that were filled from the stream.", "bus"),
    _counter("bus_duplicates_total", "service", "Messages suppressed as repeats.", "bus"),
    _counter("bus_fenced_total", "service", "Sends refused for an old epoch.", "bus"),
    _counter("bus_dropped_total", "service why", "Messages dropped: unsent, conflated, corrupt.", "bus"),
    _counter("bus_redeliveries_total", "service", "Deliveries that were not the first.", "bus"),
    _counter("bus_dead_letters_total", "service", "Records that no delivery could digest.", "bus"),
    _counter("bus_reconnects_total", "service", "Connections made again.", "bus"),
    _gauge("bus_connections", "service state", "Connections of the client: used, idle, allowed.", "bus"),
    _counter("bus_pool_waits_total", "service", "Calls that found every connection busy.", "bus"),
    _gauge("bus_outbox", "service", "Records that wait for the server.", "bus"),
    # market data
    _counter("bars_total", "venue symbol timeframe", "Closed bars published or decided on.", "market"),
    _gauge("bar_age_seconds", "venue symbol timeframe", "Time since the newest closed bar came.", "market", "s"),
    _gauge("market_stale", "venue symbol", "1 while the market data are older than the limit.", "market"),
    _counter("bar_gaps_total", "venue symbol", "Missing bars that were fetched.", "market"),
    _counter("bars_quarantined_total", "venue symbol", "Unsound rows that were kept out.", "market"),
    _counter("quotes_total", "venue symbol", "Quotes published after conflation.", "market"),
    _gauge("venue_connected", "venue account", "1 while the private session is proven.", "market"),
    _gauge("consensus_price", "venue symbol", "The price that several venues agree on.", "market", "quote currency"),
    _gauge("consensus_members", "venue symbol", "Venues that agree on it.", "market"),
    _gauge("consensus_spread", "venue symbol", "Highest less lowest price of its members.", "market", "fraction"),
    _gauge("venue_quarantined", "venue symbol", "1 while a venue's price has drifted from the others.", "market"),
    # decisions
    _counter("decisions_total", "bot", "Decisions made, one a bar.", "bots"),
    _histogram("decision_seconds", "bot", "From bar in hand to decision made.", "bots", FAST),
    _counter("intents_total", "bot action", "Intents sent or accepted.", "bots"),
    _counter("intents_denied_total", "bot rule", "Intents refused by a rule of the farm.", "bots"),
    _gauge("position_size", "bot symbol", "Signed position of the book.", "bots", "base units"),
    _gauge("bot_equity", "bot", "Capital plus profit.", "bots", "quote currency"),
    _gauge("bot_pnl", "bot", "Realised and open profit after costs.", "bots", "quote currency"),
    _gauge("bot_fees", "bot", "Fees paid.", "bots", "quote currency"),
    _gauge("bot_funding", "bot", "Funding received, below 0 = paid.", "bots", "quote currency"),
    _gauge("bot_exposure", "bot", "Value of the open position, without its sign.", "bots", "quote currency"),
    _gauge("bot_win_rate", "bot", "Share of closed round trips that won after costs.", "bots", "fraction"),
    _gauge("bot_slippage", "bot", "Price paid beyond the decision's, by value traded.", "bots", "fraction"),
    _gauge("bot_decided_seconds", "bot", "When the bot last decided, seconds since 1970.", "bots", "s"),
    _gauge("bot_bar_seconds", "bot", "Length of the bars that the bot decides on.", "bots", "s"),
    _gauge("bot_drawdown", "bot", "Loss from the highest equity.", "bots", "fraction"),
    _gauge("bot_paused", "bot", "1 while the bot makes no entries.", "bots"),
    _gauge("bot_emotion", "bot emotion", "1 for the emotion the trader is in; none where psychology is off.", "minds"),
    _gauge("bot_mind", "bot metric", "Confidence, risk appetite and stress of the trader.", "minds", "fraction"),
    _gauge("bot_mind_size", "bot", "Factor of the state of mind on the size of an entry.", "minds", "fraction"),
    # orders
    _counter("orders_total", "state", "Order events by state reached.", "orders"),
    _counter("fills_total", "bot role", "Executions.", "orders"),
    _histogram("order_latency_seconds", "venue", "From bar in hand to the request leaving.", "orders", FAST),
    _gauge("unresolved_orders", "venue account", "Orders whose outcome is not proven.", "orders"),
    _gauge("unresolved_age_seconds", "venue account", "Age of the oldest unresolved order.", "orders", "s"),
    _gauge("open_intents", "venue account", "Intents without an outcome.", "orders"),
    _histogram("lane_wait_seconds", "lane", "Time a request waited for its turn.", "orders", FAST),
    _counter("venue_requests_total", "venue group bot", "Requests to the venue: whose budget went where.", "orders"),
    _counter("rate_limited_total", "venue", "Refusals of the venue for too many requests.", "orders"),
    _gauge("clock_skew_seconds", "venue account", "The venue's clock minus ours.", "orders", "s"),
    _gauge("breaker_state", "venue endpoint", "0 closed, 1 half open, 2 open.", "orders"),
    _counter("breaker_opened_total", "venue endpoint", "Openings of the circuit.", "orders"),
    # risk
    _gauge("stop_present", "bot symbol", "1 while the whole stop is at the venue, also when flat.", "risk"),
    _gauge("naked_seconds", "bot symbol", "Time the position has been without its whole stop.", "risk", "s"),
    _gauge("naked_seconds_max", "venue account", "Longest time without a stop since the start.", "risk", "s"),
    _gauge("residual", "venue account symbol", "Venue position minus the sum of the books.", "risk", "base units"),
    _gauge("halted", "venue account", "1 while entries are halted.", "risk"),
    _gauge("account_equity", "venue account", "Equity of the account.", "risk", "quote currency"),
    _gauge("account_exposure", "venue account", "Sum of open notionals.", "risk", "quote currency"),
    _gauge("account_pnl", "venue account", "Realised and open profit after costs.", "risk", "quote currency"),
    _gauge("account_fees", "venue account", "Fees paid.", "risk", "quote currency"),
    _gauge("account_funding", "venue account", "Funding received, below 0 = paid.", "risk", "quote currency"),
    _gauge("account_drawdown", "venue account", "Loss from the highest equity.", "risk", "fraction"),
    _gauge("account_daily_loss", "venue account", "Loss of equity since 00:00 UTC.", "risk", "fraction"),
    _gauge(
        "account_win_rate", "venue account", "Share of closed round trips that won after costs.", "risk", "fraction"
    ),
    _gauge("account_slippage", "venue account", "Price paid beyond the decisions'.", "risk", "fraction"),
    _gauge("risk_use", "venue account scope name measure", "Use of a limited measure, reservations included.", "risk"),
    _gauge("risk_headroom", "venue account scope name measure", "What is left of a limit; below 0 = broken.", "risk"),
    _gauge("risk_used_ratio", "venue account scope name measure", "Share of a limit that is used.", "risk", "fraction"),
    _gauge("risk_limit_share", "venue account symbol", "Share of exposure limits in force now.", "risk", "fraction"),
    _gauge("risk_latched", "venue account scope name", "1 while the scope's entries are halted.", "risk"),
    _gauge("protections_active", "bot rule", "1 while a protection keeps the bot from entering.", "risk"),
    _counter("reconciliations_total", "venue account outcome", "Comparisons with the venue.", "risk"),
    _gauge("reconciliation_age_seconds", "venue account", "Time since books and venue were compared.", "risk", "s"),
    _gauge("residual_age_seconds", "venue account", "Age of the oldest residual.", "risk", "s"),
    _gauge("external_size", "venue account symbol", "Position that no order of the farm made.", "risk", "base units"),
    _counter("external_fills_total", "venue account symbol", "Executions of nobody's order.", "risk"),
    # ledger, cosmic, analytics, discord, simulator
    _counter("ledger_records_total", "type", "Records written.", "ledger"),
    _gauge("ledger_lag", "stream", "Records the ledger has not written yet.", "ledger"),
    _gauge("stream_length", "topic", "Entries that the stream holds.", "ledger"),
    _gauge("stream_held", "topic", "Entries beyond the wanted length that wait for a consumer group.", "ledger"),
    _histogram("ledger_commit_seconds", "", "Time of one transaction.", "ledger", FAST),
    _gauge("database_up", "", "1 while the database answers.", "ledger"),
    _gauge("database_connections", "service state", "Connections of the pool: in use, idle, allowed.", "ledger"),
    _counter(
        "database_transactions_total", "service outcome", "Transactions: served, or refused by a full pool.", "ledger"
    ),
    _gauge("ledger_chain_records", "", "Records in the hash chain.", "ledger"),
    _gauge("ledger_chain_breaks", "", "Breaks that the latest proof of the hash chain found.", "ledger"),
    _gauge(
        "ledger_imbalance", "bot", "Equity by fills and funding less equity by the books.", "ledger", "quote currency"
    ),
    _gauge("ledger_faults", "", "Disagreements that the latest double-entry check found.", "ledger"),
    _gauge(
        "ledger_checked_seconds", "", "When the latest double-entry check ended, seconds since 1970.", "ledger", "s"
    ),
    _gauge("cosmic_reading", "factor", "Value of a factor in [-1, 1].", "cosmic"),
    _gauge("cosmic_reading_age_seconds", "factor", "Age of the reading.", "cosmic", "s"),
    _gauge("cosmic_reading_state", "factor state", "1 for the state that the reading is in.", "cosmic"),
    _gauge("cosmic_reading_confidence", "factor", "Confidence in the reading, [0, 1].", "cosmic"),
    _counter("cosmic_feed_fetches_total", "feed outcome", "Attempts to fetch a feed.", "cosmic"),
    _gauge("cosmic_feed_age_seconds", "feed", "Age of the feed's newest sound value.", "cosmic", "s"),
    _gauge("cosmic_feed_circuit", "feed", "0 closed, 1 half open, 2 open.", "cosmic"),
    _counter(
        "analytics_answers_total", "analysis outcome", "Questions answered: made, known, or refused.", "analytics"
    ),
    _histogram("analytics_job_seconds", "analysis", "Time the worker took for an analysis.", "analytics", SLOW),
    _gauge("analytics_worker_up", "", "1 while the worker process runs; it rests when nobody asks.", "analytics"),
    _counter("analytics_worker_ended_total", "why", "Worker processes that ended: idle, late, died.", "analytics"),
    _gauge("analytics_age_seconds", "analysis symbol timeframe", "Age of a timer's newest result.", "analytics", "s"),
    _counter("discord_commands_total", "command outcome", "Interactions answered.", "discord"),
    _histogram("discord_ack_seconds", "command", "From interaction to first answer.", "discord", FAST),
    _counter("discord_notices_total", "kind outcome", "Notices sent, collapsed or lost.", "discord"),
    _gauge("discord_connected", "", "1 while the gateway session is ready.", "discord"),
    _counter("simulator_steps_total", "", "Bars replayed.", "simulator"),
    _counter("simulator_requests_total", "path code", "REST requests answered.", "simulator"),
    _counter("simulator_fills_total", "symbol", "Trades made.", "simulator"),
    _gauge("simulator_clock_seconds", "", "The replay clock, seconds since 1970.", "simulator", "s"),
    _gauge("simulator_connections", "channel", "Open WebSocket sessions.", "simulator"),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}

ALERTS: tuple[Alert, ...] = (
    Alert(
        "ServiceDown",
        "up == 0",
        "30s",
        Severity.PAGE,
        "{{ $labels.job }} at {{ $labels.instance }} does not answer.",
        "docs/runbooks/service-down.md",
    ),
    Alert(
        "StaleData",
        "max by (venue, symbol) (omega_market_stale) == 1",
        "30s",
        Severity.PAGE,
        "No market data of {{ $labels.symbol }} from {{ $labels.venue }}; bots do not enter.",
        "docs/runbooks/stale-data.md",
    ),
    Alert(
        "NakedPosition",
        "max by (bot, symbol) (omega_naked_seconds) > 5",
        "0s",
        Severity.PAGE,
        "{{ $labels.bot }} holds {{ $labels.symbol }} without its whole stop at the venue.",
        "docs/runbooks/naked-position.md",
    ),
    Alert(
        "UnresolvedOrder",
        "max by (venue, account) (omega_unresolved_age_seconds) > 60",
        "0s",
        Severity.PAGE,
        "An order on {{ $labels.venue }}/{{ $labels.account }} has no proven outcome for a minute.",
        "docs/runbooks/unresolved-order.md",
    ),
    Alert(
        "Residual",
        "max by (venue, account) (omega_residual_age_seconds) > 30 or "
        "max by (venue, account) (omega_reconciliation_age_seconds) > 60",
        "0s",
        Severity.PAGE,
        "Books and positions of {{ $labels.venue }}/{{ $labels.account }} differ, or nobody could compare them.",
        "docs/runbooks/residual.md",
    ),
    Alert(
        "ClockSkew",
        "max by (venue, account) (abs(omega_clock_skew_seconds)) > 1",
        "60s",
        Severity.TICKET,
        "The clock of the gateway of {{ $labels.venue }}/{{ $labels.account }} is wrong; entries are refused.",
        "docs/runbooks/clock-skew.md",
    ),
    Alert(
        "Halt",
        "max by (venue, account) (omega_halted) == 1 or max by (venue, account) (omega_risk_latched) == 1",
        "0s",
        Severity.PAGE,
        "Entries on {{ $labels.venue }}/{{ $labels.account }} are halted until a person releases them.",
        "docs/runbooks/halt.md",
    ),
    Alert(
        "LimitNearlyUsed",
        "max by (venue, account, scope, name, measure) (omega_risk_used_ratio) > 0.8",
        "60s",
        Severity.TICKET,
        "{{ $labels.scope }} {{ $labels.name }} on {{ $labels.venue }}/{{ $labels.account }} uses more than 80 % "
        "of its limit {{ $labels.measure }}.",
        "docs/runbooks/limit-nearly-used.md",
    ),
    Alert(
        "LedgerUnbalanced",
        "max(omega_ledger_faults) > 0",
        "0s",
        Severity.PAGE,
        "{{ $value }} disagreements between the books and their fills.",
        "docs/runbooks/ledger-unbalanced.md",
    ),
    Alert(
        "AuditChainBroken",
        "max(omega_ledger_chain_breaks) > 0",
        "0s",
        Severity.PAGE,
        "The hash chain of the records is broken in {{ $value }} places.",
        "docs/runbooks/audit-chain-broken.md",
    ),
    Alert(
        "CosmicFeedFailing",
        "max by (feed) (omega_cosmic_feed_circuit) > 0",
        "600s",
        Severity.TICKET,
        "The cosmic feed {{ $labels.feed }} cannot be read; its factors turn neutral as its last value ages.",
        "docs/runbooks/cosmic-feed-failing.md",
    ),
    Alert(
        "ErrorsRising",
        "sum by (service, class) (rate(omega_errors_total[5m])) > 0.1",
        "60s",
        Severity.TICKET,
        "{{ $labels.service }} meets {{ $labels.class }} more than six times a minute.",
        "docs/runbooks/errors-rising.md",
    ),
    Alert(
        "MemoryNearLimit",
        "max by (service, instance) (omega_process_memory_bytes / (omega_process_memory_limit_bytes > 0)) > 0.85",
        "60s",
        Severity.TICKET,
        "{{ $labels.service }} at {{ $labels.instance }} holds more than 85 % of the memory it may hold.",
        "docs/runbooks/memory-near-limit.md",
    ),
    Alert(
        "ProcessorNearLimit",
        "max by (service, instance) (rate(omega_process_cpu_seconds_total[5m])) > 0.85",
        "300s",
        Severity.TICKET,
        "{{ $labels.service }} at {{ $labels.instance }} works without a pause: one more bar and it falls behind.",
        "docs/runbooks/processor-near-limit.md",
    ),
    Alert(
        "Drawdown",
        "max by (bot) (omega_bot_drawdown) > 0.2",
        "60s",
        Severity.TICKET,
        "{{ $labels.bot }} is more than 20 % below its highest equity.",
        "docs/runbooks/drawdown.md",
    ),
    Alert(
        "DailyLoss",
        "max by (venue, account) (omega_account_daily_loss) > 0.03",
        "60s",
        Severity.TICKET,
        "{{ $labels.venue }}/{{ $labels.account }} has lost more than 3 % since 00:00 UTC.",
        "docs/runbooks/daily-loss.md",
    ),
    Alert(
        "OrdersRejected",
        'sum(increase(omega_orders_total{state="rejected"}[15m])) > 2 and '
        'sum(increase(omega_orders_total{state="rejected"}[15m])) > '
        '0.1 * sum(increase(omega_orders_total{state="sending"}[15m]))',
        "0s",
        Severity.TICKET,
        "The venue refuses more than a tenth of the orders.",
        "docs/runbooks/orders-rejected.md",
    ),
    Alert(
        "SlippageHigh",
        "max by (bot) (omega_bot_slippage) > 0.002",
        "60s",
        Severity.TICKET,
        "{{ $labels.bot }} pays more than 0.2 % beyond the prices it decides on.",
        "docs/runbooks/slippage-high.md",
    ),
    Alert(
        "FundingCostly",
        "max by (venue, account) (-delta(omega_account_funding[1d]) / omega_account_equity) > 0.002",
        "60s",
        Severity.TICKET,
        "{{ $labels.venue }}/{{ $labels.account }} has paid more than 0.2 % of its equity for funding in a day.",
        "docs/runbooks/funding-costly.md",
    ),
    Alert(
        "BotIdle",
        "max by (bot) (time() - omega_bot_decided_seconds) > 3 * max by (bot) (omega_bot_bar_seconds)",
        "60s",
        Severity.TICKET,
        "{{ $labels.bot }} has decided nothing for three of its bars.",
        "docs/runbooks/bot-idle.md",
    ),
)

RECORDINGS: tuple[Recording, ...] = (
    Recording(
        "job:up:ratio_1d", "avg by (job) (avg_over_time(up[1d]))", "fraction", "Share of the last day a service was up."
    ),
    Recording(
        "service:errors:rate_5m",
        "sum by (service, class) (rate(omega_errors_total[5m]))",
        "1",
        "Errors by class and service, per second.",
    ),
    Recording(
        "service:cpu:rate_5m",
        "sum by (job, service) (rate(omega_process_cpu_seconds_total[5m]))",
        "fraction",
        "Cores that a service uses.",
    ),
    Recording(
        "service:memory:max_1h",
        "max by (job, service) (max_over_time(omega_process_memory_bytes[1h]))",
        "bytes",
        "Most memory of the last hour.",
    ),
)
