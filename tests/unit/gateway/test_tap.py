"""A client of ccxt with ears, at its end."""

from __future__ import annotations

from typing import Any

import pytest
from ccxt.base.errors import ExchangeClosedByUser

from services.gateway.venues._tap import muted, tapped


class Ears:
    def __call__(self, *_: Any) -> None: ...


async def test_closed_client_opens_no_session_for_who_comes_late() -> None:
    """A look-up or a close-out that outlives the gateway sends nothing and leaves nothing open."""
    client = tapped("bitget", {}, Ears())
    await client.close()

    with pytest.raises(ExchangeClosedByUser, match="nothing was sent"):
        await client.fetch("http://127.0.0.1:9/late")

    assert client.session is None


async def test_client_closed_while_it_is_muted_stays_closed() -> None:
    """A gateway that ends during its rehearsal: the end of the rehearsal must not open the client again."""
    client = tapped("bitget", {}, Ears())
    with muted(client):
        with pytest.raises(ExchangeClosedByUser, match="nothing was sent"):
            await client.fetch("http://127.0.0.1:9/rehearsal")
        await client.close()

    with pytest.raises(ExchangeClosedByUser, match="nothing was sent"):
        await client.fetch("http://127.0.0.1:9/late")
