"""What a venue's refusal means: from an exception alone to a kind and to the outcome of a send.

Called by every venue adapter. ccxt's class alone misleads (40010, a time-out, arrives as AuthenticationError), so the
venue's own code in the answer's JSON decides first; the class is asked only when there is no code. Source: the
venue's documents and measured answers of ccxt 4.5.90.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from omega.errors import ConfigError, Denied, OmegaError, Rejected, TransientError, Unresolved


class RefusalKind(StrEnum):
    """The gateway's own classes of refusal."""

    RATE = "RATE"
    AUTH = "AUTH"
    CLOCK = "CLOCK"
    UNRESOLVED = "UNRESOLVED"
    DUPLICATE = "DUPLICATE"
    FUNDS = "FUNDS"
    RULES = "RULES"
    MODE = "MODE"
    SYMBOL = "SYMBOL"
    GONE = "GONE"
    MAINT = "MAINT"
    BUG = "BUG"
    UNKNOWN = "UNKNOWN"


class SendOutcome(StrEnum):
    """What a refusal proves about an order in flight."""

    REJECTED = "rejected"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A classified refusal: the kind, what it proves, the venue's code (empty without one) and its words."""

    kind: RefusalKind
    outcome: SendOutcome
    code: str
    text: str


_K = RefusalKind
_CODES: Final[dict[RefusalKind, str]] = {
    _K.RATE: "429 30014 30026 1001 50009",
    _K.AUTH: "40001 40002 40003 40006 40009 40011 40012 40037 40014 40016 40018 40085 40084 50010",
    _K.CLOCK: "40004 40005 40008",
    _K.UNRESOLVED: "40010 40015 40725 45001 50000 500 40604",
    _K.DUPLICATE: "40786 43118 45034 25212",
    _K.FUNDS: "40711 40712 40762 43012 50020 40754 45002 40798",
    _K.RULES: (
        "40808 41103 45110 45113 41117 43011 40774 40917 45122 45111 45112 45115 43037 43006 40787 22006 22007 40815"
        " 40816"
    ),
    _K.MODE: "40797 40756 45117 40920 40872",
    _K.SYMBOL: "40309 50004 40034",
    _K.GONE: ("40109 40768 43001 43025 22001 31007 80011 45057 40819 43020 22002 25227 43043 40757 45003"),
    _K.MAINT: "40200 40308 41114 43115 30038",
    _K.BUG: "00001 40017 40019 40020 400172 40404 40708 30007 40715 40912 40306",
}
CODES: Final[dict[str, RefusalKind]] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""Every code that is known, with its kind."""

_CLASSES: Final[tuple[tuple[str, RefusalKind], ...]] = (
    ("RateLimitExceeded", _K.RATE),
    ("DDoSProtection", _K.RATE),
    ("RequestTimeout", _K.UNRESOLVED),
    ("ExchangeClosedByUser", _K.UNRESOLVED),
    ("InvalidNonce", _K.CLOCK),
    ("OnMaintenance", _K.MAINT),
    ("ExchangeNotAvailable", _K.UNRESOLVED),
    ("NetworkError", _K.UNRESOLVED),
    ("AuthenticationError", _K.AUTH),
    ("InsufficientFunds", _K.FUNDS),
    ("OrderNotFound", _K.GONE),
    ("InvalidOrder", _K.RULES),
    ("BadSymbol", _K.SYMBOL),
    ("BadRequest", _K.BUG),
    ("ArgumentsRequired", _K.BUG),
    ("NotSupported", _K.BUG),
)
_DOUBTFUL: Final = frozenset({_K.UNRESOLVED, _K.DUPLICATE, _K.UNKNOWN})


def classify(error: BaseException) -> Verdict:
    """Return what a refusal means: by the code in its JSON, else its words, else its class; unknown is unresolved."""
    text = str(error)
    code = code_of(text)
    if "Request Frequency Is Too High" in text:
        return _verdict(_K.RATE, code, text)
    if code:
        return _verdict(CODES.get(code, _K.UNKNOWN), code, text)
    names = {cls.__name__ for cls in type(error).__mro__}
    for name, kind in _CLASSES:
        if name in names:
            return _verdict(kind, code, text)
    return _verdict(_K.UNKNOWN, code, text)


def code_of(text: str) -> str:
    """Return the venue's code from an exception's text (`bitget {"code": ...}`), empty when there is none."""
    start = text.find("{")
    if start < 0:
        return ""
    try:
        body = json.loads(text[start:])
    except ValueError:
        return ""
    code = body.get("code", "") if isinstance(body, dict) else ""
    return str(code) if code is not None else ""


def raised(error: BaseException, doing: str) -> OmegaError:
    """Return the farm's error for a refusal of a write: Rejected when it proves absence, else Unresolved."""
    verdict = classify(error)
    words = f"{doing}: {_short(verdict)}"
    if verdict.outcome is SendOutcome.UNRESOLVED:
        return Unresolved(f"{words}; the effect is unknown and is being looked up", code=verdict.code)
    return Rejected(words, code=verdict.code, kind=verdict.kind.value)


class Throttled(TransientError):  # noqa: N818 - a state of the venue, as its siblings are
    """The venue said that there were too many requests; nothing was done."""


def raised_read(error: BaseException, doing: str) -> OmegaError:
    """Return the farm's error for a refusal of a read, which may be repeated when it was no fault of ours."""
    verdict = classify(error)
    words = f"{doing}: {_short(verdict)}"
    if verdict.kind is _K.AUTH:
        return ConfigError(f"{words}; check the account's key, secret, passphrase and their rights")
    if verdict.kind in {_K.GONE, _K.SYMBOL, _K.BUG, _K.MODE}:
        return Rejected(words, code=verdict.code, kind=verdict.kind.value)
    if verdict.kind is _K.RATE:
        return Throttled(f"{words}; it is asked again when the venue allows")
    return TransientError(f"{words}; it is asked again")


def denied(rule: str, words: str) -> Denied:
    """Return the error of a rule of our own."""
    return Denied(words, rule=rule)


def _verdict(kind: RefusalKind, code: str, text: str) -> Verdict:
    outcome = SendOutcome.UNRESOLVED if kind in _DOUBTFUL else SendOutcome.REJECTED
    return Verdict(kind, outcome, code, text)


def _short(verdict: Verdict) -> str:
    text = verdict.text if len(verdict.text) <= 300 else verdict.text[:300] + "..."  # noqa: PLR2004 - a line of a log
    return f"{verdict.kind} {text}".strip()
