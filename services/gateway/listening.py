"""The venue's one listener: hands each push to the part that it concerns. Built by the service."""

from __future__ import annotations

from collections.abc import Callable

from services.gateway.market import Market
from services.gateway.private import PrivateSide
from services.gateway.venue import Candles, PrivateFrame, Tick


class Ears:
    """Routes pushes; returns at once."""

    def __init__(self, market: Market, private: PrivateSide, on_open: Callable[[], None]) -> None:
        self._market = market
        self._private = private
        self._on_open = on_open

    def on_candles(self, candles: Candles) -> None:
        """Take one push of candles."""
        self._market.hear_candles(candles)

    def on_tick(self, tick: Tick) -> None:
        """Take one push of prices."""
        self._market.hear_tick(tick)

    def on_private(self, frame: PrivateFrame) -> None:
        """Take one push of orders, fills, positions or money."""
        self._private.hear(frame)

    def on_private_open(self) -> None:
        """Reconcile: what happened while the socket was away was missed."""
        self._on_open()

    def on_lost(self, what: str, reason: str) -> None:  # noqa: ARG002 - the adapter has logged the reason
        """Forget what a lost socket has told."""
        if what == "public":
            self._market.lost()
        else:
            self._private.forget()
