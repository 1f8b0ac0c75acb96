"""A client of ccxt with ears, at its end."""

from __future__ import annotations

import asyncio
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


async def test_closed_client_opens_no_session_for_a_watch_that_comes_late() -> None:
    """ccxt itself forgets that it was closed as soon as a socket is asked for."""
    client = tapped("bitget", {}, Ears())
    await client.close()

    with pytest.raises(ExchangeClosedByUser, match="nothing was sent"):
        client.watch("ws://127.0.0.1:9", "ticker")

    assert client.session is None


async def test_close_that_is_cut_closes_the_session() -> None:
    """A venue that does not say goodbye to a socket must not leave the connections of the requests open."""
    client = tapped("bitget", {}, Ears())
    client.open()
    session = client.session

    async def no_goodbye() -> None:
        await asyncio.sleep(600)

    client.close_ws_clients = no_goodbye
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.close()

    assert session.closed
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
