"""The refusals of the venue: code, text, HTTP status. Raised as `Rejected`, worded for the wire by the REST edge."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from omega.errors import Rejected


class Code(StrEnum):
    """Codes of Bitget v2 that the simulator answers with."""

    KEY_MISSING = "40001"
    SIGN_MISSING = "40003"
    TIMESTAMP = "40005"
    KEY_UNKNOWN = "40006"
    EXPIRED = "40008"
    SIGN = "40009"
    PASSPHRASE_MISSING = "40011"  # noqa: S105 - an error code
    PASSPHRASE = "40012"  # noqa: S105 - an error code
    PERMISSION = "40014"
    VERIFY = "40017"
    EMPTY = "40019"
    PARAMETER = "40020"
    NO_SYMBOL = "40034"
    CLASSIC = "40084"
    SYMBOL_OFF = "40309"
    UNKNOWN_URL = "40404"
    BUSY = "40725"
    FUNDS = "40762"
    NO_ORDER = "40768"
    UNILATERAL = "40774"
    DUPLICATE = "40786"
    LEVERAGE = "40797"
    STEP = "40808"
    PRICE_HIGH = "40815"
    PRICE_LOW = "40816"
    LONG_STOP = "40917"
    HOLDING = "40920"
    SPOT_FUNDS = "43012"
    SPOT_NO_ORDER = "43001"
    SPOT_DUPLICATE = "43118"
    NOTIONAL = "45110"
    MINIMUM = "45111"
    MAXIMUM = "45113"
    SIZE_STEP = "45115"
    MARGIN_MODE = "45117"
    SHORT_STOP = "45122"
    NO_POSITION = "22002"
    LIMIT = "429"


_TEXT: Final[dict[str, str]] = {
    Code.KEY_MISSING: "ACCESS_KEY cannot be empty",
    Code.SIGN_MISSING: "ACCESS_SIGN cannot be empty",
    Code.TIMESTAMP: "Invalid ACCESS_TIMESTAMP",
    Code.KEY_UNKNOWN: "Invalid ACCESS_KEY",
    Code.EXPIRED: "Request timestamp expired",
    Code.SIGN: "sign signature error",
    Code.PASSPHRASE_MISSING: "ACCESS_PASSPHRASE cannot be empty",
    Code.PASSPHRASE: "apikey/password is incorrect",
    Code.PERMISSION: "Incorrect permissions",
    Code.VERIFY: "Parameter verification failed",
    Code.EMPTY: "Parameter cannot be empty",
    Code.PARAMETER: "Parameter error",
    Code.NO_SYMBOL: "Parameter symbol does not exist",
    Code.CLASSIC: "You are in Classic Account mode, and the Unified Account API is not supported at this time",
    Code.SYMBOL_OFF: "The symbol has been removed",
    Code.UNKNOWN_URL: "Request URL NOT FOUND",
    Code.BUSY: "service return an error",
    Code.FUNDS: "The order amount exceeds the balance",
    Code.NO_ORDER: "Order does not exist",
    Code.UNILATERAL: "The order type for unilateral position must also be the unilateral position type",
    Code.DUPLICATE: "Duplicate clientOid",
    Code.LEVERAGE: "Exceeded the maximum settable leverage",
    Code.STEP: "Parameter verification exception: not a multiple of the step",
    Code.PRICE_HIGH: "The order price is above the price limit",
    Code.PRICE_LOW: "The order price is below the price limit",
    Code.LONG_STOP: "Stop price of a long position must be below the mark price",
    Code.HOLDING: "Position or order exists, the position mode cannot be adjusted",
    Code.SPOT_FUNDS: "Insufficient balance",
    Code.SPOT_NO_ORDER: "The order does not exist",
    Code.SPOT_DUPLICATE: "clientOid duplicate",
    Code.NOTIONAL: "less than the minimum amount 5 USDT",
    Code.MINIMUM: "less than the minimum order quantity",
    Code.MAXIMUM: "The maximum number of orders or the maximum size is exceeded",
    Code.SIZE_STEP: "The size must be a multiple of the size step",
    Code.MARGIN_MODE: "Currently holding positions or orders, the margin mode cannot be adjusted",
    Code.SHORT_STOP: "Stop price of a short position must be above the mark price",
    Code.NO_POSITION: "No position to close",
    Code.LIMIT: "Too Many Requests",
}


_STATUS: Final[dict[str, int]] = {Code.LIMIT: 429, Code.UNKNOWN_URL: 404, Code.BUSY: 503}


def refuse(code: Code, detail: str = "") -> Rejected:
    """Return the refusal to raise; the detail says to what it happened."""
    text = _TEXT[code]
    return Rejected(f"{text}: {detail}" if detail else text, code=code)


def http_status(code: str) -> int:
    """Return the HTTP status that the venue sends with a code."""
    return _STATUS.get(code, 400)
