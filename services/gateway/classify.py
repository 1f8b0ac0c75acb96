"""What a venue's refusal means: from an exception alone to a kind and to the outcome of a send.

Called by every venue adapter with its own table. ccxt's class alone misleads (Bitget's 40010, a time-out, arrives as
AuthenticationError), so the venue's own code in the answer's JSON decides first; the class is asked only when there is
no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from omega.errors import ConfigError, Denied, InvariantBroken, OmegaError, Rejected, TransientError, Unresolved


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


@dataclass(frozen=True, slots=True)
class Refusals:
    """How one venue says no; owned by its adapter's file.

    Attributes:
        codes: every code that is known, with its kind. A code that is not here is UNKNOWN, hence unresolved.
        keys: where the code stands in the JSON of an answer, as dotted paths; the first that holds one counts.
        pattern: finds the code in an answer without JSON; its group 1 is the code.
        good: codes that say nothing, as the code of an envelope around a list of refusals.
        words: parts of messages that decide before any code.
    """

    codes: Mapping[str, RefusalKind]
    keys: tuple[str, ...] = ("code",)
    pattern: str = ""
    good: frozenset[str] = frozenset()
    words: tuple[tuple[str, RefusalKind], ...] = ()


def table(rows: Mapping[RefusalKind, str]) -> dict[str, RefusalKind]:
    """Return code -> kind from lists of codes with blanks between them; a code with blanks inside takes a `|` list.

    Raises:
        InvariantBroken: a code stands under two kinds.
    """
    found: dict[str, RefusalKind] = {}
    for kind, text in rows.items():
        for code in (part.strip() for part in (text.split("|") if "|" in text else text.split())):
            if found.setdefault(code, kind) is not kind:
                raise InvariantBroken(f"the refusal code {code} stands under {found[code]} and under {kind}")
    return found


_K = RefusalKind
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


def classify(error: BaseException, refusals: Refusals) -> Verdict:
    """Return what a refusal means: by its words, else the code in its JSON, else its class; unknown is unresolved."""
    text = str(error)
    code = code_of(text, refusals)
    for words, kind in refusals.words:
        if words in text:
            return _verdict(kind, code, text)
    if code:
        return _verdict(refusals.codes.get(code, _K.UNKNOWN), code, text)
    names = {cls.__name__ for cls in type(error).__mro__}
    for name, kind in _CLASSES:
        if name in names:
            return _verdict(kind, code, text)
    return _verdict(_K.UNKNOWN, code, text)


def code_of(text: str, refusals: Refusals) -> str:
    """Return the venue's code from an exception's text (`bitget {"code": ...}`), empty when there is none."""
    body = _body(text)
    for key in refusals.keys if body is not None else ():
        code = _at(body, key)
        if code and code not in refusals.good:
            return code
    found = re.search(refusals.pattern, text) if refusals.pattern else None
    return found.group(1) if found else ""


def _body(text: str) -> object:
    start = text.find("{")
    if start < 0:
        return None
    try:
        body, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _at(body: object, path: str) -> str:
    """Return the text at a dotted path, empty when the path leads nowhere."""
    for step in path.split("."):
        if isinstance(body, dict):
            body = body.get(step)
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return ""
    return "" if body is None or isinstance(body, (dict, list)) else str(body)


def raised(error: BaseException, doing: str, refusals: Refusals) -> OmegaError:
    """Return the farm's error for a refusal of a write: Rejected when it proves absence, else Unresolved."""
    verdict = classify(error, refusals)
    words = f"{doing}: {_short(verdict)}"
    if verdict.outcome is SendOutcome.UNRESOLVED:
        return Unresolved(f"{words}; the effect is unknown and is being looked up", code=verdict.code)
    return Rejected(words, code=verdict.code, kind=verdict.kind.value)


class Throttled(TransientError):  # noqa: N818 - a state of the venue, as its siblings are
    """The venue said that there were too many requests; nothing was done."""


def raised_read(error: BaseException, doing: str, refusals: Refusals) -> OmegaError:
    """Return the farm's error for a refusal of a read, which may be repeated when it was no fault of ours."""
    verdict = classify(error, refusals)
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
