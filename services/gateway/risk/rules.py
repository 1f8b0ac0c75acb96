"""Every rule that an intent must pass, by name. Asked by the order path before anything is written or sent.

Exits pass unless they ask for more than the bot holds; entries pass every rule, then every limit (`gate`). The first
that says no denies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.bus.messages import RiskVerdict
from omega.bus.port import BusState
from omega.domain import Action, Instrument, Intent, Mode, OrderState, iso, timeframe_ns
from omega.errors import Denied
from services.gateway.account import Account
from services.gateway.classify import denied
from services.gateway.risk.gate import deciding
from services.gateway.risk.measures import Added
from services.gateway.risk.scopes import Scope
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says of one intent.

    Attributes:
        size: what may be sent, 0 when denied.
        verdict: the same as the order event carries it, with the figures of the limit that decided.
        words: why it was denied, for people.
    """

    size: Decimal
    verdict: RiskVerdict
    words: str = ""


def judge(asked: Asked, account: Account) -> Judgement:
    """Judge one intent; the first rule that says no denies it."""
    intent = asked.intent
    try:
        instrument = _traded(intent, account)
        if intent.reduces:
            return Judgement(_exit_size(intent, account, instrument), RiskVerdict(allowed=True, rule=""))
        for rule in ENTRY_RULES:
            for name, words in rule(asked, account, instrument):
                raise denied(name, f"{intent.intent_id}: {words}")
    except Denied as error:
        return Judgement(ZERO, RiskVerdict(allowed=False, rule=error.rule), str(error))
    figure = deciding(account.risk.figures(intent.bot, added(intent, account)))
    if figure is not None and figure.broken:
        return Judgement(ZERO, figure.verdict(), f"{intent.intent_id}: {figure.words()}")
    verdict = figure.verdict() if figure is not None else RiskVerdict(allowed=True, rule="")
    return Judgement(instrument.size(intent.size), verdict)


def ask_again(asked: Asked, account: Account) -> None:
    """Ask once more of an entry whose turn at the venue has come what may have changed while it waited.

    Raises:
        Denied: it must not be sent any more.
    """
    instrument = _traded(asked.intent, account)
    for rule in LATE_RULES:
        for name, words in rule(asked, account, instrument):
            raise denied(name, f"{asked.intent.intent_id} has waited for its turn: {words}")


def findings(asked: Asked, account: Account) -> list[Finding]:
    """Return everything that any rule and any limit has against an entry, for a person who asks."""
    intent = asked.intent
    try:
        instrument = _traded(intent, account)
    except Denied as error:
        return [(error.rule, str(error))]
    found = [finding for rule in ENTRY_RULES for finding in rule(asked, account, instrument)]
    figures = account.risk.figures(intent.bot, added(intent, account))
    return found + [(figure.limit.rule, figure.words()) for figure in figures if figure.broken]


def added(intent: Intent, account: Account) -> Added:
    """Return what an entry would add, at the price that it is valued at."""
    price = account.price(intent.symbol) or intent.ref_price
    return Added(intent.symbol, intent.side.sign, intent.size, price)


def _traded(intent: Intent, account: Account) -> Instrument:
    """Return the rules of an intent's symbol.

    Raises:
        Denied: its numbers are broken, or it is not for this account.
    """
    numbers = (intent.size, intent.ref_price, intent.stop or ZERO, intent.target or ZERO)
    if not all(number.is_finite() and number >= 0 for number in numbers):
        raise denied("corrupt", f"{intent.intent_id} carries a number that is negative or not finite: {numbers}")
    instrument = account.instrument(intent.symbol)
    if instrument is None or (intent.symbol in account.closed and not intent.reduces):
        raise denied(
            "symbol", f"{intent.symbol} is not traded on {account.venue_name}; set the bot's symbol to one that is"
        )
    if intent.venue != account.venue_name or intent.account != account.name:
        raise denied("account", f"{intent.intent_id} is for {intent.venue}/{intent.account}, this is another account")
    return instrument


def _exit_size(intent: Intent, account: Account, instrument: Instrument) -> Decimal:
    """Cut an exit to what the bot holds and no exit of its own is closing already, in steps of the venue."""
    held = account.books.book(intent.bot, intent.symbol).size
    if held * intent.side.sign >= 0:
        raise denied(
            "flat", f"{intent.intent_id}: {intent.bot} holds {held} {intent.symbol}, there is nothing to close"
        )
    others = _others(intent, account, intent.symbol, bot=intent.bot)
    closing = sum((o.size - o.filled for o in others if o.side is intent.side), ZERO)
    closing += sum((size for o, size in account.ahead(bot=intent.bot) if _same(o, intent)), ZERO)
    size = min(intent.size or abs(held), abs(held) - closing)
    if size <= 0:
        raise denied("closing", f"{intent.intent_id}: the whole position of {intent.bot} is being closed already")
    return instrument.size(size) or size  # less than a step is for the venue to judge


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
    if asked.bus is not BusState.CONNECTED:
        yield "bus", f"the bus is {asked.bus}, no entries until it is back"
    yield from _leased(asked, account, _)
    if not account.venue.connected():
        yield "venue", "the private session of the venue is not subscribed"
    if account.turns.open():
        yield "breaker", "the venue has failed too often, its circuit is open"


def _leased(asked: Asked, _: Account, __: Instrument) -> Iterator[Finding]:
    if not asked.leased:
        yield "lease", "this gateway does not hold the account's lease"


def _in_time(asked: Asked, _: Account, __: Instrument) -> Iterator[Finding]:
    if asked.deadline_ns and asked.now_ns > asked.deadline_ns:
        yield "deadline", f"it came {(asked.now_ns - asked.deadline_ns) / 1e6:.0f} ms after its deadline"


def _fresh(asked: Asked, account: Account, instrument: Instrument) -> Iterator[Finding]:
    intent, trading = asked.intent, account.settings.trading
    yield from _in_time(asked, account, instrument)
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
    if price <= 0:
        yield "price", f"no price of {intent.symbol} is known yet, so nobody can say what it is worth"
        return
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


def _halted(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    intent = asked.intent
    latch = account.halt.over(account.risk.scopes(intent.bot, intent.symbol))
    if latch is not None:
        whose = "" if latch.entity.scope is Scope.ACCOUNT else f" of {latch.entity}"
        yield "halt", f"entries{whose} are halted ({latch.reason}); a person must release them"
    elif account.halt.active:
        yield "halt", f"entries are halted ({account.halt.reason}); a person must release them"


def _protected(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    intent = asked.intent
    lock = account.risk.lock_of(intent.bot, intent.symbol, intent.bar_ts_ns)
    if lock is not None:
        yield lock.rule, f"{lock.reason}; {intent.bot} may enter again at {iso(lock.until_ns)} of market time"


def _together(_: Asked, account: Account, __: Instrument) -> Iterator[Finding]:
    silent = account.risk.stale(time.monotonic())
    if silent:
        yield "fleet_stale", f"a limit counts {', '.join(silent)}, which has told nothing of late; is its gateway up?"


def _quiet(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    intent, reservations = asked.intent, account.risk.reservations
    live = reservations.live(intent.symbol)
    if any(claim.state is OrderState.UNRESOLVED for claim in live):
        yield "unresolved", f"an order in {intent.symbol} has no proven outcome yet"
    # The legs of one decision (one a target) belong together; an entry of another bar has to wait for them.
    if any(c.bot == intent.bot and c.entry and c.bar_ts_ns != intent.bar_ts_ns for c in live):
        yield "pending", f"an entry of {intent.bot} is under way"
    if intent.action is Action.ENTER and account.books.book(intent.bot, intent.symbol).size * intent.side.sign < 0:
        yield "opposite", f"{intent.bot} holds the other side; it must exit first"
    if reservations.live_count + 1 >= BUSY:
        yield "busy", f"{BUSY} orders are under way"


def _vetoed(asked: Asked, account: Account, _: Instrument) -> Iterator[Finding]:
    """Ask what else may speak against an entry: standing orders, the clock."""
    for veto in account.vetoes:
        rule, words = veto(asked.intent)
        if rule:
            yield rule, words


def _others(intent: Intent, account: Account, symbol: str = "", *, bot: str = "") -> list[JournalOrder]:
    """Return the live orders beside the one that this intent has become in the journal already."""
    return [order for order in account.reserved(symbol, bot=bot) if order.intent_id != intent.intent_id]


def _same(order: JournalOrder, intent: Intent) -> bool:
    return order.symbol == intent.symbol and order.side is intent.side


Rule = Callable[[Asked, Account, Instrument], Iterator[Finding]]
ENTRY_RULES: Final[tuple[Rule, ...]] = (
    _mode,
    _halted,
    _allowed,
    _vetoed,
    _fresh,
    _stop,
    _size,
    _quiet,
    _protected,
    _together,
)
LATE_RULES: Final[tuple[Rule, ...]] = (_halted, _leased, _vetoed, _in_time)
"""What an entry is asked again when its turn has come: what people and time may have decided since."""
