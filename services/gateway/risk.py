"""The gate: every rule an intent must pass, by name. Asked by the order path before anything is written or sent.

Exits pass unless they ask for more than the bot holds; entries pass every rule. The first broken rule denies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.bus.port import BusState
from omega.domain import Action, Instrument, Intent, Mode, OrderState, Role, timeframe_ns
from services.gateway.account import Account
from services.gateway.classify import denied
from services.gateway.rows import JournalOrder

ZERO: Final = Decimal(0)
BUSY: Final = 50
"""Live orders of the account beyond which entries wait their turn elsewhere."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An intent with what its envelope says: the deadline, and the state of the bus and the lease."""

    intent: Intent
    deadline_ns: int
    now_ns: int
    bus: BusState
    leased: bool


Finding = tuple[str, str]
"""(rule, words)"""


def check(asked: Asked, account: Account) -> Decimal:
    """Return the size that may be sent.

    Raises:
        Denied: a rule said no; it carries the rule's name.
    """
    intent = asked.intent
    numbers = (intent.size, intent.ref_price, intent.stop or ZERO, intent.target or ZERO)
    if not all(number.is_finite() and number >= 0 for number in numbers):
        raise denied("corrupt", f"{intent.intent_id} carries a number that is negative or not finite: {numbers}")
    instrument = account.instrument(intent.symbol)
    if instrument is None or intent.symbol in account.closed:
        raise denied(
            "symbol", f"{intent.symbol} is not traded on {account.venue_name}; set the bot's symbol to one that is"
        )
    if intent.venue != account.venue_name or intent.account != account.name:
        raise denied("account", f"{intent.intent_id} is for {intent.venue}/{intent.account}, this is another account")
    if intent.reduces:
        return _exit_size(intent, account)
    for rule in ENTRY_RULES:
        for name, words in rule(asked, account, instrument):
            raise denied(name, f"{intent.intent_id}: {words}")
    return instrument.size(intent.size)


def _exit_size(intent: Intent, account: Account) -> Decimal:
    """Cut an exit to what the bot holds and no exit of its own is closing already."""
    held = account.books.book(intent.bot, intent.symbol).size
    if held * intent.side.sign >= 0:
        raise denied(
            "flat", f"{intent.intent_id}: {intent.bot} holds {held} {intent.symbol}, there is nothing to close"
        )
    others = _others(intent, account, intent.symbol, bot=intent.bot)
    closing = sum((o.size - o.filled for o in others if o.side is intent.side), ZERO)
    size = min(intent.size or abs(held), abs(held) - closing)
    if size <= 0:
        raise denied("closing", f"{intent.intent_id}: the whole position of {intent.bot} is being closed already")
    return size


def _mode(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    settings = account.settings
    trading, bot = settings.trading, settings.bots.get(asked.intent.bot)
    mode = bot.mode if bot is not None and bot.mode is not None else trading.mode
    if mode is Mode.SHADOW:
        yield "mode", f"{asked.intent.bot} runs in shadow mode, its intents are not sent"
    if mode is not trading.mode and Mode.LIVE in {mode, trading.mode}:
        yield "mode", f"{asked.intent.bot} is {mode}, the account {account.name} trades {trading.mode}"
    if trading.mode is Mode.LIVE and not (account.name in trading.live_accounts and trading.confirmed_limits):
        yield "mode", "live mode needs the account in trading.live_accounts and trading.confirmed_limits: true"


def _allowed(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    if account.halt.active:
        yield "halt", f"entries are halted ({account.halt.reason}); a person must release them"
    if asked.bus is not BusState.CONNECTED:
        yield "bus", f"the bus is {asked.bus}, no entries until it is back"
    if not asked.leased:
        yield "lease", "this gateway does not hold the account's lease"
    if not account.venue.connected():
        yield "venue", "the private session of the venue is not subscribed"
    if account.turns.open():
        yield "breaker", "the venue has failed too often, its circuit is open"


def _fresh(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    intent, trading = asked.intent, account.settings.trading
    if asked.deadline_ns and asked.now_ns > asked.deadline_ns:
        yield "deadline", f"it came {(asked.now_ns - asked.deadline_ns) / 1e6:.0f} ms after its deadline"
    silence = account.venue.silence_s()
    if silence > account.settings.gateway.stale_s:
        yield "stale", f"no market data for {silence:.1f} s"
    bot = account.settings.bots.get(intent.bot)
    timeframe = (bot.timeframe if bot is not None else "") or trading.timeframe
    newest = account.newest_bar_ns.get((intent.symbol, timeframe), 0)
    behind = (newest - intent.bar_ts_ns) / timeframe_ns(timeframe)
    if newest and behind > trading.stale_bars:
        yield "stale", f"it was decided {behind:.0f} bars ago"


def _stop(asked: Asked, account: Account, instrument: Instrument) -> Iterator[Finding]:
    intent = asked.intent
    if intent.stop is None or intent.stop <= 0:
        yield "stop", "an entry must carry a stop"
        return
    price = account.price(intent.symbol) or intent.ref_price
    if (price - intent.stop) * intent.side.sign <= 0:
        yield "stop", f"the stop {intent.stop} is not on the losing side of {price}"
    if intent.target is not None and (intent.target - price) * intent.side.sign <= 0:
        yield "target", f"the target {intent.target} is not on the winning side of {price}"
    if instrument.price(intent.stop) != intent.stop or (
        intent.target and instrument.price(intent.target) != intent.target
    ):
        yield "rules", f"stop or target is no multiple of the price step {instrument.price_step}"


def _size(asked: Asked, account: Account, instrument: Instrument) -> Iterator[Finding]:
    intent, trading = asked.intent, account.settings.trading
    price = account.price(intent.symbol) or intent.ref_price
    if instrument.size(intent.size) != intent.size:
        yield "rules", f"the size {intent.size} is no multiple of {instrument.size_step}"
    if not instrument.tradable(intent.size, price):
        yield (
            "minimum",
            f"{intent.size} at {price} is below {instrument.min_size} or {instrument.min_notional} {instrument.quote}",
        )
    if intent.leverage > min(trading.max_leverage, instrument.max_leverage):
        yield "leverage", f"{intent.leverage}x is above {min(trading.max_leverage, instrument.max_leverage)}x"
    if intent.size * price > trading.max_order_notional:
        yield (
            "order_notional",
            f"{intent.size * price:.2f} is above trading.max_order_notional {trading.max_order_notional}",
        )


def _exposure(asked: Asked, account: Account, instrument: Instrument) -> Iterator[Finding]:
    """Count open books and everything under way: no interleaving of intents gets past a limit."""
    intent, trading = asked.intent, account.settings.trading

    def price(symbol: str) -> Decimal:
        return account.price(symbol) or intent.ref_price

    added = intent.size * price(intent.symbol)
    entries = [order for order in _others(intent, account) if order.role is Role.ENTRY]
    account_notional = account.books.notional(price) + sum(
        ((o.size - o.filled) * price(o.symbol) for o in entries), ZERO
    )
    if account_notional + added > trading.max_notional:
        yield "notional", f"{account_notional + added:.2f} is above trading.max_notional {trading.max_notional}"
    own = [order for order in entries if order.bot == intent.bot]
    bot_notional = account.books.notional(price, bot=intent.bot) + sum(
        ((o.size - o.filled) * price(o.symbol) for o in own), ZERO
    )
    bot = account.settings.bots.get(intent.bot)
    capital = (bot.capital if bot is not None else None) or trading.capital
    most = capital * min(trading.max_leverage, instrument.max_leverage)
    if bot_notional + added > most:
        yield (
            "bot_notional",
            f"{bot_notional + added:.2f} is above {most}, the capital of {intent.bot} at full leverage",
        )


def _quiet(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    intent = asked.intent
    live = _others(intent, account, intent.symbol)
    if any(order.state is OrderState.UNRESOLVED for order in live):
        yield "unresolved", f"an order in {intent.symbol} has no proven outcome yet"
    # The legs of one decision (one a target) belong together; an entry of another bar has to wait for them.
    if any(o.bot == intent.bot and o.role is Role.ENTRY and o.bar_ts_ns != intent.bar_ts_ns for o in live):
        yield "pending", f"an entry of {intent.bot} is under way"
    if intent.action is Action.ENTER and account.books.book(intent.bot, intent.symbol).size * intent.side.sign < 0:
        yield "opposite", f"{intent.bot} holds the other side; it must exit first"
    if len(_others(intent, account)) + 1 >= BUSY:
        yield "busy", f"{BUSY} orders are under way"


def _others(intent: Intent, account: Account, symbol: str = "", *, bot: str = "") -> list[JournalOrder]:
    """Return the live orders beside the one that this intent has become in the journal already."""
    return [order for order in account.reserved(symbol, bot=bot) if order.intent_id != intent.intent_id]


Rule = Callable[[Asked, Account, Instrument], Iterator[Finding]]
ENTRY_RULES: Final[tuple[Rule, ...]] = (_mode, _allowed, _fresh, _stop, _size, _quiet, _exposure)
