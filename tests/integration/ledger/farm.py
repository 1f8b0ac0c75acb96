"""Records of a small farm for the ledger's tests: bars, decisions, orders, fills, funding, and words of people."""

import itertools
from collections.abc import Iterator
from decimal import Decimal

from omega.bus.codec import encode, format_of
from omega.bus.envelope import Envelope
from omega.bus.messages import (
    AuditNote,
    Command,
    CommandResult,
    ConfigChanged,
    DecisionMade,
    FundingPaid,
    HaltChanged,
    Message,
    OrderEvent,
    StopEvent,
    StopState,
    Verb,
)
from omega.bus.port import Received
from omega.bus.topics import Topics
from omega.domain import MINUTE_NS, AuditEntry, Decision, Fill, Mode, OrderState, Role, Side, client_id, intent_id

START_NS = 1_747_699_200_000_000_000
SYMBOL = "BTC-USDT.P"
TOPICS = Topics("dev")
_COUNTER = itertools.count(1)


def received(message: Message, *, message_id: str = "", ts_ns: int = START_NS) -> Received:
    """Wrap a message as the bus delivers it."""
    number = next(_COUNTER)
    name = message_id or f"id{number:010d}"
    envelope = Envelope(
        name, format_of(message).spec.name, 1, ts_ns, "test", 0, number, f"corr-{number}", "", "", 0, "", message
    )
    return Received(TOPICS.of(message)[-1], f"1747699200000-{number}", envelope)


def bar_ns(index: int) -> int:
    return START_NS + index * MINUTE_NS


def decided(bot: str, index: int, price: float, *, intents: tuple[str, ...] = (), position: str = "0") -> DecisionMade:
    decision = Decision(
        bar_ts_ns=bar_ns(index),
        price=price,
        side=1 if intents else 0,
        exit=False,
        size=0.01,
        stop=price * 0.98,
        targets=((price * 1.03, 0.5), (price * 1.05, 0.5)),
        leverage=2,
        confidence=0.7,
        reason="crossed_up",
        audit=(AuditEntry("sizing", "size", 0.02, 0.01, "cap"),),
    )
    return DecisionMade(bot, "ema_cross", Mode.PAPER, SYMBOL, "1m", decision, intents, Decimal(position), {"rsi": 55.5})


def fill(bot: str, index: int, side: Side, size: str, price: str, *, trade: str, role: Role = Role.ENTRY) -> Fill:
    intent = intent_id(bot, bar_ns(index - 1), 0)
    return Fill(
        trade_id=trade,
        order_id=f"v{trade}",
        client_id=client_id(intent),
        bot=bot,
        venue="bitget",
        account="main",
        symbol=SYMBOL,
        side=side,
        price=Decimal(price),
        size=Decimal(size),
        fee=Decimal(price) * Decimal(size) * Decimal("0.0006"),
        fee_coin="USDT",
        role=role,
        ts_ns=bar_ns(index),
    )


def order(done: Fill, state: OrderState, *, filled: bool = False) -> OrderEvent:
    bar = done.ts_ns - MINUTE_NS
    return OrderEvent(
        bot=done.bot,
        intent_id=intent_id(done.bot, bar, 0),
        client_id=done.client_id,
        order_id=done.order_id,
        venue=done.venue,
        account=done.account,
        symbol=done.symbol,
        side=done.side,
        size=done.size,
        role=done.role,
        state=state,
        filled=done.size if filled else Decimal(0),
        reason="",
        code="",
        ts_ns=done.ts_ns,
        bar_ts_ns=bar,
        latency_ns=1_500_000,
    )


def session(bot: str, *, bars: int = 40, every: int = 4) -> Iterator[Message]:
    """Everything one bot causes: it goes in and out by turns, gets funding once, and its stop moves along."""
    for index in range(bars):
        price = 60_000 + 250 * ((index * 7) % 11)
        acts = index % every == 0
        if acts:
            entering = (index // every) % 2 == 0
            side = Side.BUY if entering else Side.SELL
            done = fill(bot, index + 1, side, "0.010", str(price), trade=f"{bot}-{index:06d}")
            yield decided(bot, index, float(price), intents=(intent_id(bot, bar_ns(index), 0),))
            yield order(done, OrderState.WORKING)
            yield done
            yield order(done, OrderState.FILLED, filled=True)
            yield StopEvent(
                bot, "bitget", "main", SYMBOL, done.size, Decimal(price) * Decimal("0.98"),
                StopState.PLACED if entering else StopState.REMOVED, f"s{index}", f"p{index}", done.ts_ns,
            )  # fmt: skip
        else:
            yield decided(bot, index, float(price))
        if index == bars // 2:
            yield FundingPaid(bot, "bitget", "main", SYMBOL, Decimal("-0.123456789"), f"fund-{bot}", bar_ns(index) + 5)


def words() -> list[Message]:
    """What people and services say around the trading."""
    return [
        Command("cmd-1", Verb.PAUSE, "fib", "alice", "lunch"),
        CommandResult("cmd-1", "runner", "fib", "applied", "no entries"),
        ConfigChanged("runner", 2, applied=True, changes=("trading.slippage: 0.0002 -> 0.0003",), error=""),
        AuditNote("alice", "discord", "pause", "fib", "accepted", {"guild": "1"}),
        HaltChanged("bitget", "main", halted=True, reason="daily loss", by="gateway", ts_ns=bar_ns(3)),
    ]


def encoded(one: Received) -> bytes:
    """Return the bytes of a record as its sender wrote them."""
    return encode(one.envelope)
