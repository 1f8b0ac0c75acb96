"""The kill switch from outside: one signed request straight to a gateway's own port, without Redis.

Used by the command line and by Discord; the gateway checks what `sign` made.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
import urllib.error
import urllib.request
from typing import Any, Final

from omega.errors import ConfigError, Denied, EnvironmentFault

TIMEOUT_S: Final = 40.0
"""A flatten answers when the books are flat, or after half a minute."""


def sign(key: str, body: bytes) -> str:
    """Return the signature of a kill request: hex HMAC-SHA256 over the body."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


async def kill(url: str, key: str, *, verb: str, actor: str, reason: str) -> dict[str, Any]:
    """Halt (`halt`) or close everything (`flatten`) at the gateway of an address; return its answer.

    Raises:
        ConfigError: no address or no key is set.
        Denied: the gateway refuses; its words say why.
        EnvironmentFault: it does not answer.
    """
    if not url or not key:
        raise ConfigError("the kill switch needs gateway.kill_url and the secret gateway.kill_key; set both")
    wish = {"verb": verb, "actor": actor, "reason": reason, "ts": time.time(), "nonce": secrets.token_hex(16)}
    return await asyncio.to_thread(_post, f"{url.rstrip('/')}/kill", key, json.dumps(wish).encode())


def _post(url: str, key: str, body: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "X-Omega-Signature": sign(key, body)}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - the settings' own
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        raise Denied(f"the gateway at {url} refuses: {_words(error)}", rule="kill") from error
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"the gateway at {url} does not answer ({error}); create the halt file beside its journal instead"
        ) from error


def _words(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"
