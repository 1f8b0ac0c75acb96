"""`omega doctor --profile`: record where a running service spends its time, or who allocates its memory."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from omega.errors import ConfigError, EnvironmentFault

SHOWN = 15
ASK_EVERY_S = 0.2


def record(url: str, *, seconds: float, memory: bool) -> dict[str, Any]:
    """Have a service record itself and wait for the outcome.

    Raises:
        ConfigError: the service refuses, and says why.
        EnvironmentFault: nothing answers at this address.
    """
    base = url.rstrip("/")
    kind = "memory" if memory else "cpu"
    _ask(f"{base}/profile?kind={kind}&seconds={seconds:g}", post=True)
    while True:
        time.sleep(ASK_EVERY_S)
        status, found = _ask(f"{base}/profile")
        if status == 200:  # noqa: PLR2004 - HTTP
            return found


def show(found: dict[str, Any]) -> None:
    """Print a recording for people."""
    if found["kind"] == "memory":
        print(f"{found['service']}: {found['grown'] / 1024:,.0f} KiB more after {found['seconds']:g} s")
        for row in found["allocators"][:SHOWN]:
            print(f"{row['bytes'] / 1024:>10,.1f} KiB {row['blocks']:>8} blocks  {row['where']}")
        return
    print(f"{found['service']}: {found['samples']} samples in {found['seconds']:g} s, by the function at work")
    for row in found["functions"][:SHOWN]:
        print(f"{row['share']:>7.1%}  {row['where']}")
    print("The stacks for a flame graph: add --json, and read `stacks`.")


def _ask(url: str, *, post: bool = False) -> tuple[int, dict[str, Any]]:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url} is no address: write http://HOST:PORT, as http.listening of the service's log says")
    try:
        request = urllib.request.Request(url, method="POST" if post else "GET")  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - checked above
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        raise ConfigError(f"{url} answers {error.code}: {_words(error.read())}") from None
    except OSError as error:
        raise EnvironmentFault(f"nothing answers at {url}: {error}; does the service run there?") from None


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
