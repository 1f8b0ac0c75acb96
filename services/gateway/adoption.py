"""Positions that no order of ours made: given to a bot with a stop, or closed. Called by the commands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from omega.bus.messages import Command, Scalar
from omega.bus.topics import FARM
from omega.domain import EXTERNAL
from omega.errors import Denied
from services.gateway.account import Account

ZERO: Final = Decimal(0)


def part_to_close(command: Command, account: Account) -> tuple[str, Decimal]:
    """Return (symbol, signed size) of the EXTERNAL book that a command wants closed.

    Raises:
        Denied: there is none, or not so much.
    """
    symbol = _symbol(command, account)
    return symbol, _part(command.params, account, symbol)


def adopt(command: Command, account: Account) -> str:
    """Give the EXTERNAL position of a symbol to the bot that the command is for; return what was done in words.

    Raises:
        Denied: there is no such position or bot, or the stop is not on its losing side.
    """
    symbol, bot = _symbol(command, account), command.target
    size = _part(command.params, account, symbol)
    _check_bot(account, bot, symbol)
    held = account.books.book(bot, symbol).size
    if held * size < 0:
        if abs(size) > abs(held):
            raise Denied(f"{bot} holds {held}, which {size} would turn around; adopt --size {abs(held)}", rule="size")
        account.adopt(bot, symbol, size, stop=ZERO, target=None, key=command.command_id)
        return f"{size} {symbol} is taken off {bot}, which holds {held + size} now"
    stop, target = _level(command.params, "stop"), _level(command.params, "target")
    _check_levels(account, symbol, 1 if size > 0 else -1, stop, target)
    assert stop is not None
    account.adopt(bot, symbol, size, stop=stop, target=target, key=command.command_id)
    return f"{bot} holds {held + size} {symbol} now, its stop at {stop} is being placed"


def _symbol(command: Command, account: Account) -> str:
    symbol = str(command.params.get("symbol", ""))
    if account.instrument(symbol) is None:
        raise Denied(f"{symbol or 'no symbol'} is not traded on {account.venue_name}", rule="symbol")
    return symbol


def _part(params: Mapping[str, Scalar], account: Account, symbol: str) -> Decimal:
    external = account.books.book(str(EXTERNAL), symbol).size
    if not external:
        raise Denied(f"nothing in {symbol} is external; `omega trade reconcile` shows whose what is", rule="flat")
    wanted = _level(params, "size") or abs(external)
    instrument = account.require_instrument(symbol)
    if wanted > abs(external) or instrument.size(wanted) != wanted:
        raise Denied(f"{wanted} is no part of the external {external} in steps of {instrument.size_step}", rule="size")
    return wanted if external > 0 else -wanted


def _check_bot(account: Account, bot: str, symbol: str) -> None:
    plan = account.settings.bots.get(bot)
    if bot == FARM or plan is None or not plan.enabled:
        raise Denied(f"{bot!r} is no bot that runs on {account.name}; name one, or close the position", rule="bot")
    if plan.symbol != symbol:
        raise Denied(f"{bot} trades {plan.symbol}, not {symbol}: it would never leave that position", rule="bot")


def _check_levels(account: Account, symbol: str, side: int, stop: Decimal | None, target: Decimal | None) -> None:
    price, instrument = account.price(symbol), account.require_instrument(symbol)
    if stop is None:
        raise Denied("a position is adopted with a stop: name one by --stop", rule="stop")
    if not price:
        raise Denied(f"no price of {symbol} has come yet; try again in a moment", rule="stale")
    if (price - stop) * side <= 0:
        raise Denied(f"the stop {stop} is not on the losing side of {price}", rule="stop")
    if target is not None and (target - price) * side <= 0:
        raise Denied(f"the target {target} is not on the winning side of {price}", rule="target")
    for level in (stop, target):
        if level is not None and instrument.price(level) != level:
            raise Denied(f"{level} is no multiple of the price step {instrument.price_step}", rule="rules")


def _level(params: Mapping[str, Scalar], name: str) -> Decimal | None:
    text = str(params.get(name, ""))
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Denied(f"{name} {text!r} is no number", rule="corrupt") from None
    if not value.is_finite() or value <= 0:
        raise Denied(f"{name} {text} is no number above zero", rule="corrupt")
    return value
