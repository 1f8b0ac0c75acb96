"""Every topic name, as a function; spelled nowhere else. The topic map and the Redis rights are made from here.

Shape: `{env}:{class}:{domain}[:{venue}][:{account}][:{symbol}][:{detail}]`, lower case.
"""

from __future__ import annotations

from dataclasses import dataclass

from omega.bus.messages import (
    AccountStatus,
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

    def intents(self, venue: str, account: str, *, high: bool) -> str:
        """Intents for one account; the high lane (exits) is drained before the low one (entries)."""
        return f"{self.env}:intent:{venue}:{account}:{'hi' if high else 'lo'}"

    def decisions(self) -> str:
        """All decisions of all bots."""
        return f"{self.env}:evt:decision"

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

    def control_results(self) -> str:
        """How far commands have come."""
        return f"{self.env}:ctl:result"

    def config(self) -> str:
        """Applied and refused configurations."""
        return f"{self.env}:cfg:applied"

    def audit(self) -> str:
        """What people did."""
        return f"{self.env}:evt:audit"

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
            case Intent(venue=venue, account=account):
                return (self.intents(venue, account, high=message.reduces),)
            case DecisionMade():
                return (self.decisions(),)
            case OrderEvent(bot=bot) | StopEvent(bot=bot) | FundingPaid(bot=bot) | Fill(bot=bot):
                return (self.bot_events(bot), self.ledger())
            case HaltChanged():
                return (self.ledger(),)
            case Command(target=target):
                return (self.control(target),)
            case CommandResult():
                return (self.control_results(),)
            case ConfigChanged():
                return (self.config(),)
            case AuditNote():
                return (self.audit(),)
            case Request(service=service):
                return (self.request(service),)
            case Reply(request_id=request_id):
                return (self.reply(request_id.split("/", 1)[0]),)
