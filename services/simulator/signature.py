"""Signatures of requests and logins, checked in the venue's order. Called by the REST edge and the WebSocket login."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote

from services.simulator.codes import Code, refuse

WINDOW_MS: Final = 30_000
"""How far a request's time stamp may be from the wall clock."""


class Credentials(Protocol):
    """What an account must know about its key."""

    @property
    def secret(self) -> str:
        """The secret that signs."""

    @property
    def passphrase(self) -> str:
        """The passphrase of the key."""


CredentialsT = TypeVar("CredentialsT", bound=Credentials)


@dataclass(frozen=True, slots=True)
class Signed:
    """The parts of a request that its signature covers."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]


def sign(secret: str, text: str) -> str:
    """Return base64(HMAC-SHA256(secret, text))."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def payload(request: Signed, timestamp: str) -> str:
    """Return the text that the client must have signed: the query unquoted, the body byte for byte."""
    query = f"?{unquote(request.query)}" if request.query else ""
    return f"{timestamp}{request.method}{request.path}{query}{request.body}"


def verify(request: Signed, accounts: Mapping[str, CredentialsT], wall_ms: int) -> CredentialsT:
    """Return the account whose key signed the request.

    Raises:
        Rejected: the first check that fails, in the venue's order (key, sign, time stamp, passphrase, known, expired,
            signature, passphrase right).
    """
    headers = request.headers
    key, given = headers.get("ACCESS-KEY", ""), headers.get("ACCESS-SIGN", "")
    timestamp, passphrase = headers.get("ACCESS-TIMESTAMP", ""), headers.get("ACCESS-PASSPHRASE", "")
    for present, code in (
        (key, Code.KEY_MISSING),
        (given, Code.SIGN_MISSING),
        (timestamp.isdigit(), Code.TIMESTAMP),
        (passphrase, Code.PASSPHRASE_MISSING),
    ):
        if not present:
            raise refuse(code)
    account = accounts.get(key)
    if account is None:
        raise refuse(Code.KEY_UNKNOWN)
    if abs(int(timestamp) - wall_ms) > WINDOW_MS:
        raise refuse(Code.EXPIRED)
    if not hmac.compare_digest(given.encode(), sign(account.secret, payload(request, timestamp)).encode()):
        raise refuse(Code.SIGN)
    if not hmac.compare_digest(passphrase.encode(), account.passphrase.encode()):
        raise refuse(Code.PASSPHRASE)
    return account


class LoginCode(IntEnum):
    """WebSocket codes of a refused login."""

    KEY = 30011
    PASSPHRASE = 30012
    TIMESTAMP = 30013
    SIGN = 30015


def verify_login(
    arg: Mapping[str, object], accounts: Mapping[str, CredentialsT], wall_ms: int
) -> CredentialsT | LoginCode:
    """Return the account that a WebSocket login proves, or why it does not."""
    account = accounts.get(str(arg.get("apiKey", "")))
    if account is None:
        return LoginCode.KEY
    if not hmac.compare_digest(str(arg.get("passphrase", "")).encode(), account.passphrase.encode()):
        return LoginCode.PASSPHRASE
    timestamp = str(arg.get("timestamp", ""))
    if not timestamp.isdigit() or abs(int(timestamp) * 1000 - wall_ms) > WINDOW_MS:
        return LoginCode.TIMESTAMP
    expected = sign(account.secret, f"{timestamp}GET/user/verify")
    if not hmac.compare_digest(str(arg.get("sign", "")).encode(), expected.encode()):
        return LoginCode.SIGN
    return account
