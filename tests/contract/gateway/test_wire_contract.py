"""Four adapters pass the numbered suites over the wire server: venues' shapes, a real socket, recorded requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from omega.testing.venue_contract import VenueContract
from omega.testing.wire_contract import WireContract

pytestmark = pytest.mark.req("0.05", "1.97", "2.16", "2.17", "2.20", "3.15", "0.31")


class OnTheWire(VenueContract, WireContract):
    """Every case of both suites, over a fixture."""

    name = ""
    secret = "wire-secret"

    @pytest.fixture
    async def desk(self, open_desk: Any) -> AsyncIterator[Any]:
        async with open_desk(self.name, secret=self.secret) as opened:
            yield opened


class TestBinance(OnTheWire):
    """Binance USDT-M futures."""

    name = "binance"


class TestBybit(OnTheWire):
    """Bybit linear perpetuals."""

    name = "bybit"


class TestOkx(OnTheWire):
    """OKX swaps, counted in contracts."""

    name = "okx"


class TestKraken(OnTheWire):
    """Kraken Futures; its secrets are base64."""

    name = "kraken"
    secret = "d2lyZS1zZWNyZXQ="
