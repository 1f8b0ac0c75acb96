"""One bounded GET: time, size and redirects have an end. Called by the feeds that are fetched over HTTP."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

from omega.errors import ConfigError, CorruptData, TransientError

LARGEST: Final = 1_000_000
"""Bytes of an answer that are read."""
_OK: Final = 200
_REDIRECTS: Final = 3
_CHUNK: Final = 65_536


def host_of(url: str) -> str:
    """Return the host of an address, as a reading names its source.

    Raises:
        ConfigError: it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{url!r} is no address of a feed; write http://HOST/PATH or https://HOST/PATH")
    return parts.hostname


async def get_json(url: str, *, timeout_s: float) -> Any:
    """Return the JSON that an address answers with.

    Raises:
        TransientError: nobody answers, not in time, or not with 200.
        CorruptData: the answer is too large or no JSON.
    """
    import aiohttp  # a service without such a feed never loads it

    timeout = aiohttp.ClientTimeout(total=timeout_s)
    body = bytearray()
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, max_redirects=_REDIRECTS) as got:
            if got.status != _OK:
                raise TransientError(f"{host_of(url)} answered with {got.status}; the feed is asked again later")
            async for chunk in got.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > LARGEST:
                    raise CorruptData(f"{host_of(url)} answered with more than {LARGEST} bytes; check the address")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TransientError(f"{host_of(url)} did not answer ({type(error).__name__}: {error})") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter where brackets nest without end
        raise CorruptData(f"{host_of(url)} answered with no JSON ({error}); check the address") from error
