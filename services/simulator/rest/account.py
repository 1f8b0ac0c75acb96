"""Private REST endpoints about the account: wallets, settings, positions, bills. Bound to paths in `routes`."""

from __future__ import annotations

from typing import Any

from services.simulator import pushes, rest_rows
from services.simulator.account import Account, Right, SymbolSettings
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO
from services.simulator.instruments import Instrument, Product
from services.simulator.intake import Fields
from services.simulator.outbox import Channel, Private
from services.simulator.placing import HOLDS, MARGIN_MODES
from services.simulator.rest.paging import page
from services.simulator.state import Venue


def accounts(venue: Venue, account: Account, fields: Fields) -> Any:
    """List the futures wallets of a product type."""
    if fields.text("productType", Product.SWAP).upper() != Product.SWAP:
        return []
    return [rest_rows.futures_account(venue, account)]


def single(venue: Venue, account: Account, fields: Fields) -> Any:
    """Answer the futures wallet with one symbol's settings."""
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    setting = account.setting(instrument.symbol)
    return rest_rows.futures_account(venue, account) | {
        "crossedMarginLeverage": setting.cross,
        "isolatedLongLever": setting.long,
        "isolatedShortLever": setting.short,
        "marginMode": setting.margin_mode,
        "posMode": _mode(account),
    }


def assets(venue: Venue, account: Account, fields: Fields) -> Any:
    """List the spot wallet."""
    wanted = fields.text("coin")
    coins = {name: coin for name, coin in account.coins.items() if wanted in {"", name}}
    return pushes.spot_account(coins, venue.now_ms)


def info(_venue: Venue, account: Account, _fields: Fields) -> Any:
    """Answer who the key belongs to and what it may do."""
    names = {Right.READ: "readonly", Right.TRADE: "trade", Right.WITHDRAW: "withdraw"}
    return {
        "userId": account.uid,
        "inviterId": "",
        "channelCode": "",
        "channel": "",
        "ips": "",
        "authorities": [names[right] for right in Right if account.may(right)],
        "parentId": account.uid,
        "traderType": "not_trader",
        "regisTime": "0",
    }


def set_leverage(venue: Venue, account: Account, fields: Fields) -> Any:
    """Change a symbol's leverage; open positions follow when the wallet can back them."""
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    setting = account.setting(instrument.symbol)
    before = SymbolSettings(setting.cross, setting.long, setting.short, setting.margin_mode)
    hold = HOLDS.get(fields.text("holdSide").lower(), 0)
    _apply_leverage(instrument, setting, fields, hold)
    old = [(position, position.leverage) for position in account.held(instrument.symbol)]
    for position, _ in old:
        position.leverage = setting.leverage(position.margin_mode, position.side)
    funds = account.funds(venue.last, venue.reserved(account))
    if old and funds.wallet + funds.cross_unrealised < funds.margins + funds.reserved:
        account.settings[instrument.symbol] = before
        for position, leverage in old:
            position.leverage = leverage
        raise refuse(Code.FUNDS, f"the wallet cannot back {instrument.symbol} at this leverage")
    _tell(venue, account)
    return {
        "symbol": instrument.symbol,
        "marginCoin": "USDT",
        "longLeverage": str(setting.long),
        "shortLeverage": str(setting.short),
        "crossMarginLeverage": str(setting.cross),
        "marginMode": setting.margin_mode,
    }


def _apply_leverage(instrument: Instrument, setting: SymbolSettings, fields: Fields, hold: int) -> None:
    def wanted(name: str) -> int:
        value = fields.whole(name, 0)
        if value > instrument.max_leverage:
            raise refuse(Code.LEVERAGE, f"{value} is above {instrument.max_leverage}")
        return value

    both = wanted("leverage")
    long, short = wanted("longLeverage") or both, wanted("shortLeverage") or both
    if not (long or short):
        raise refuse(Code.EMPTY, "leverage")
    if setting.margin_mode == "crossed":
        setting.cross = setting.long = setting.short = long or short
        return
    if hold >= 0 and long:
        setting.long = long
    if hold <= 0 and short:
        setting.short = short


def set_margin_mode(venue: Venue, account: Account, fields: Fields) -> Any:
    """Change a symbol's margin mode; refused while a position or an order of it is open."""
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    mode = fields.choice("marginMode", MARGIN_MODES)
    setting = account.setting(instrument.symbol)
    busy = account.held(instrument.symbol) or venue.book.open_of(account.uid, Product.SWAP, instrument.symbol)
    if busy and mode != setting.margin_mode:
        raise refuse(Code.MARGIN_MODE, instrument.symbol)
    setting.margin_mode = mode
    return {
        "symbol": instrument.symbol,
        "marginCoin": "USDT",
        "longLeverage": str(setting.leverage(mode, 1)),
        "shortLeverage": str(setting.leverage(mode, -1)),
        "marginMode": mode,
    }


def set_position_mode(venue: Venue, account: Account, fields: Fields) -> Any:
    """Change between one-way and hedge mode; refused while any position or order is open."""
    fields.swap()
    hedged = fields.choice("posMode", frozenset({"one_way_mode", "hedge_mode"})) == "hedge_mode"
    busy = account.positions or venue.book.open_of(account.uid, Product.SWAP)
    if busy and hedged != account.hedged:
        raise refuse(Code.HOLDING)
    account.hedged = hedged
    return {"posMode": _mode(account)}


def set_margin(venue: Venue, account: Account, fields: Fields) -> Any:
    """Add margin to an isolated position, or take what was added."""
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    hold = HOLDS.get(fields.text("holdSide").lower(), 0)
    amount = fields.amount("amount")
    held = [item for item in account.held(instrument.symbol) if item.isolated and hold in {0, item.side}]
    if not held:
        raise refuse(Code.NO_POSITION, instrument.symbol)
    funds = account.funds(venue.last, venue.reserved(account))
    if amount > funds.transferable or held[0].extra + amount < ZERO:
        raise refuse(Code.FUNDS, f"{amount} USDT")
    held[0].extra += amount
    _tell(venue, account)
    return ""


def positions(venue: Venue, account: Account, fields: Fields) -> Any:
    """List the open positions."""
    if fields.text("productType", Product.SWAP).upper() != Product.SWAP:
        return []
    return [rest_rows.position(venue, account, item) for item in account.positions.values()]


def position(venue: Venue, account: Account, fields: Fields) -> Any:
    """List one symbol's open positions."""
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    return [rest_rows.position(venue, account, item) for item in account.held(instrument.symbol)]


def position_history(venue: Venue, account: Account, fields: Fields) -> Any:
    """List positions that have gone flat, newest first."""
    symbol = fields.text("symbol")
    closed = [item for item in venue.history if item.uid == account.uid and symbol in {"", item.position.symbol}]
    found = page(closed, fields, lambda item: (item.position.pos_id, item.ts_ms))
    return {
        "list": [rest_rows.closed_position(item) for item in found],
        "endId": found[-1].position.pos_id if found else "",
    }


def bills(venue: Venue, account: Account, fields: Fields) -> Any:
    """List the changes of the futures wallet, newest first."""
    symbol, business = fields.text("symbol"), fields.text("businessType")
    mine = [
        item
        for item in venue.bills
        if item.uid == account.uid and symbol in {"", item.symbol} and business in {"", item.business}
    ]
    found = page(mine, fields, lambda item: (item.bill_id, item.ts_ms))
    return {"bills": [rest_rows.bill(item) for item in found], "endId": found[-1].bill_id if found else ""}


def _mode(account: Account) -> str:
    return "hedge_mode" if account.hedged else "one_way_mode"


def _tell(venue: Venue, account: Account) -> None:
    venue.outbox.put(Private(account.uid, Product.SWAP, Channel.POSITIONS))
    venue.outbox.put(Private(account.uid, Product.SWAP, Channel.ACCOUNT))
