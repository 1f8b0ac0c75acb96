"""Every topic name, as a function; spelled nowhere else. The topic map and the Redis rights are made from here.

Shape: `{env}:{class}:{domain}[:{venue}][:{account}][:{symbol}][:{detail}]`, lower case. A bot writes to topics that end
in its own name or lane, so that the server itself can refuse what is another's; a function without that argument
returns the `*` pattern over all of them, which `follow`, `records` and `history` read as one.
"""

from __future__ import annotations

from dataclasses import dataclass

from omega.bus.messages import (
    AccountStatus,
    AnalysisMade,
    AuditNote,
    BarClosed,
    BotStatus,
    Command,
    CommandResult,
    ConfigChanged,
    ConsensusPrice,
    DecisionMade,
    FundingPaid,
    HaltChanged,
    Heartbeat,
    Message,
    OrderEvent,
    Quote,
    Reply,
    Request,
    StopEvent,
)
from omega.domain import Fill, Intent, Reading, topic_symbol

FARM = "farm"
"""The target of a command that concerns everything."""
RISK = "@risk"
"""The target of a command to the gates alone; no bot can be called so."""

ALL = "*"
"""Stands for every value of one part of a name: the topic is a pattern then."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic names of one environment (`dev`, `paper`, `live`)."""

    env: str

    def bar(self, venue: str, symbol: str, timeframe: str) -> str:
        """Closed bars of one symbol and timeframe."""
        return f"{self.env}:md:bar:{venue}:{topic_symbol(symbol)}:{timeframe}"

    def quote(self, venue: str, symbol: str) -> str:
        """Best prices of one symbol."""
        return f"{self.env}:md:quote:{venue}:{topic_symbol(symbol)}"

    def consensus(self, venue: str, symbol: str) -> str:
        """What several venues agree one symbol of a gateway's venue is worth."""
        return f"{self.env}:md:consensus:{venue}:{topic_symbol(symbol)}"

    def heartbeat(self, service: str, instance: str) -> str:
        """Signs of life of one process."""
        return f"{self.env}:hb:{service}:{instance}"

    def bot_status(self, bot: str) -> str:
        """What a runner knows of its bot."""
        return f"{self.env}:st:bot:{bot}"

    def account_status(self, venue: str, account: str) -> str:
        """The gateway's view of one account."""
        return f"{self.env}:st:account:{venue}:{account}"

    def reading(self, factor: str) -> str:
        """Readings of one cosmic factor."""
        return f"{self.env}:cosmic:reading:{factor}"

    def intents(self, venue: str, account: str, *, high: bool, bot: str = ALL) -> str:
        """Intents of one bot for one account; the high lanes (exits) are drained before the low ones (entries)."""
        return f"{self.env}:intent:{venue}:{account}:{bot}:{'hi' if high else 'lo'}"

    def decisions(self, bot: str = ALL) -> str:
        """Return where the decisions of a bot go."""
        return f"{self.env}:evt:decision:{bot}"

    def ledger(self) -> str:
        """All order, fill, stop, funding and halt events."""
        return f"{self.env}:evt:ledger"

    def bot_events(self, bot: str) -> str:
        """The events of one bot, for its runner."""
        return f"{self.env}:evt:bot:{bot}"

    def control(self, target: str) -> str:
        """Commands to one bot, to the farm, or to the risk gates."""
        if target in {FARM, RISK}:
            return f"{self.env}:ctl:{target.lstrip('@')}"
        return f"{self.env}:ctl:bot:{target}"

    def control_results(self, target: str = ALL) -> str:
        """How far the commands to a bot, or to the farm, have come."""
        return f"{self.env}:ctl:result:{target}"

    def config(self, service: str = ALL) -> str:
        """Applied and refused configurations of a kind of service."""
        return f"{self.env}:cfg:applied:{service}"

    def audit(self) -> str:
        """What people did."""
        return f"{self.env}:evt:audit"

    def analysis(self, symbol: str = ALL) -> str:
        """Return where the analyses of one symbol go."""
        return f"{self.env}:evt:analysis:{symbol if symbol == ALL else topic_symbol(symbol)}"

    def request(self, service: str) -> str:
        """Questions to one service."""
        return f"{self.env}:req:{service}"

    def reply(self, instance: str) -> str:
        """Answers to one asking process."""
        return f"{self.env}:rep:{instance}"

    def dead_letters(self, stream: str) -> str:
        """What a consumer group could not digest, by stream."""
        return f"{self.env}:dlq:{stream.removeprefix(self.env + ':')}"

    def state(self, *parts: str) -> str:
        """The key of a small shared value (leases, epochs, halts, last quotes)."""
        return ":".join((self.env, "st", *parts))

    def streams(self) -> str:
        """The set of all streams; a new one is announced on the channel of the same name."""
        return self.state("streams")

    def seen(self, topic: str, message_id: str) -> str:
        """The mark that suppresses a repeat. It is as private as the topic: nobody marks another's message as sent."""
        return f"{self.env}:st:seen:{topic[len(self.env) + 1 :]}:{message_id}"

    def of(self, message: Message) -> tuple[str, ...]:  # noqa: C901, PLR0911, PLR0912 - one row a message type
        """Return the topics that a message goes to, all written by one call."""
        match message:
            case BarClosed(venue=venue, symbol=symbol, timeframe=timeframe):
                return (self.bar(venue, symbol, timeframe),)
            case Quote(venue=venue, symbol=symbol):
                return (self.quote(venue, symbol),)
            case ConsensusPrice(venue=venue, symbol=symbol):
                return (self.consensus(venue, symbol),)
            case Heartbeat(service=service, instance=instance):
                return (self.heartbeat(service, instance),)
            case BotStatus(bot=bot):
                return (self.bot_status(bot),)
            case AccountStatus(venue=venue, account=account):
                return (self.account_status(venue, account),)
            case Reading(factor=factor):
                return (self.reading(factor),)
            case Intent(venue=venue, account=account, bot=bot):
                return (self.intents(venue, account, high=message.reduces, bot=bot),)
            case DecisionMade(bot=bot):
                return (self.decisions(bot),)
            case OrderEvent(bot=bot) | StopEvent(bot=bot) | FundingPaid(bot=bot) | Fill(bot=bot):
                return (self.bot_events(bot), self.ledger())
            case HaltChanged():
                return (self.ledger(),)
            case Command(target=target):
                return (self.control(target),)
            case CommandResult(target=target):
                return (self.control_results(target),)
            case ConfigChanged(service=service):
                return (self.config(service),)
            case AuditNote():
                return (self.audit(),)
            case AnalysisMade(symbol=symbol):
                return (self.analysis(symbol),)
            case Request(service=service):
                return (self.request(service),)
            case Reply(request_id=request_id):
                return (self.reply(request_id.split("/", 1)[0]),)
