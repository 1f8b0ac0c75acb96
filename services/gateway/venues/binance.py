"""Binance USDT-M futures in one-way mode: what differs from the generic ccxt adapter.

Chosen by `trading.venue: binance`. Stops are orders of a service of their own (algo orders) and cannot ride on an
entry. Source of the codes: the venue's error pages and ccxt 4.5.90, which calls -5028, a clock that is off, an invalid
order, and -2015, a refused key, a rate limit once a session has worked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from omega.plugins import venue
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venue import VenueOptions
from services.gateway.venues import _unified as unified
from services.gateway.venues._ccxt import CcxtVenue
from services.gateway.venues._streams import Watch
from services.gateway.venues._tap import Json, drop

_K = RefusalKind
_REST: Final = {
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPublicV3": "/fapi/v3",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPrivateV3": "/fapi/v3",
    "fapiData": "/futures/data",
    "sapi": "/sapi/v1",
    "public": "/api/v3",
    "private": "/api/v3",
}
_FORCED: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")

CAPABILITIES: Final = Capabilities(
    exchange="Binance USDT-M futures",
    coin="USDT",
    order_types=("market", "stop market", "target market"),
    stops=StopForm.SEPARATE,
    resize=Resize.REPLACE,
    position_mode="one-way, switched at start",
    client_id=ClientIdRule("newClientOrderId", 36, "A-Za-z0-9.:/_-", trigger_field="clientAlgoId"),
    contract="one coin",
    candles=CandleFeed.PUSHED,
    sandbox="demo-fapi.binance.com",
    key_rights="GET /sapi/v1/account/apiRestrictions",
    evidence=Evidence.WIRE,
    notes=(
        "The stop is placed right after the fill; the time without it is measured as naked time.",
        "Executions that are read over REST do not say that they were liquidations; the stream does.",
        "The rights of a demo key cannot be read.",
    ),
)
REFUSALS: Final = Refusals(
    codes=table(
        {
            _K.RATE: "-1003 -1008 -1015",
            _K.AUTH: "-1002 -1022 -1109 -2014 -2015 -2017",
            _K.CLOCK: "-1021 -5028",
            _K.UNRESOLVED: "-1000 -1001 -1004 -1006 -1007",
            _K.DUPLICATE: "-4116",
            _K.FUNDS: "-2018 -2019 -4050 -4051",
            _K.RULES: (
                "-1013 -1111 -2010 -2020 -2021 -2025 -2026 -2027 -2028 -4001 -4002 -4003 -4004 -4005 -4013 -4014 -4016"
                " -4023 -4024 -4045 -4131 -4136 -4142 -4164 -4183 -4184 -4192 -5021 -5022"
            ),
            _K.MODE: "-2023 -4028 -4059 -4060 -4061 -4067 -4068 -4161 -4400 -4401 -4402 -4403",
            _K.SYMBOL: "-1121 -1122 -4108 -4140 -4141 -4144",
            _K.GONE: "-2011 -2013 -2022 -2024",
            _K.MAINT: "-1016",
            _K.BUG: "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1108 -1114 -1115 -1116 -1117 -1118 -1120 -1127 -1128"
            " -1130 -4015 -4120",
        }
    ),
    words=(
        ("execution status unknown", _K.UNRESOLVED),
        ("Unknown error, please check your request", _K.UNRESOLVED),
        ("System is under maintenance", _K.MAINT),
    ),
)


@venue("binance")
class Binance(CcxtVenue):
    """One Binance futures account."""

    name = "binance"
    exchange_id: ClassVar[str] = "binanceusdm"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
    past: ClassVar[tuple[str, ...]] = ("fetch_orders",)
    client_key: ClassVar[str] = "c"
    price_call: ClassVar[str] = "fetch_bids_asks"
    session: ClassVar[frozenset[str]] = frozenset({"user"})
    private_channels: ClassVar[frozenset[str]] = frozenset(
        {"ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "TRADE_LITE"}
        | {"CONDITIONAL_ORDER_TRIGGER_REJECT", "STRATEGY_UPDATE", "GRID_UPDATE", "listenKeyExpired"}
    )

    def __init__(self, options: VenueOptions) -> None:
        super().__init__(options)
        self._last: dict[str, str] = {}

    def settings(self) -> Json:
        """Return ccxt's options."""
        snapshot = {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}
        return {
            "options": {
                "adjustForTimeDifference": True,
                "fetchMarkets": {"types": ["linear"]},
                "warnOnFetchOpenOrdersWithoutSymbol": False,
                "watchPositions": snapshot,
            }
        }

    def urls(self) -> Json:
        """Return the addresses of another host that speaks Binance."""
        api: Json = {name: f"{self.options.rest_url}{path}" for name, path in _REST.items()}
        return {**api, "ws": {"linear": f"{self.options.ws_url}/ws"}}

    def sandbox(self, client: Any) -> None:
        """Lead to the demo hosts: the venue has closed its futures testnet to ccxt."""
        client.enable_demo_trading(True)

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        answer = await self.read("read the key's rights", self._data.sapiGetAccountApiRestrictions)
        return bool(answer.get("enableWithdrawals"))

    def forced(self, info: Mapping[str, Any]) -> bool:
        """Tell a liquidation by the client id that the venue gives its own orders."""
        return str(info.get("c", "")).startswith(_FORCED) or info.get("o") == "LIQUIDATION"

    # streams --------------------------------------------------------------------------------------------------------

    def channel(self, message: Json) -> str:
        """Return the kind of an event."""
        return str(message.get("e", ""))

    def time_ms(self, message: Json) -> int:
        """Return the time of an event."""
        return int(message.get("E") or 0)

    def connected_to(self, url: str) -> None:
        """Count the account's socket as subscribed once it is open: its listen key says what it carries."""
        if "listenKey=" in url:
            self.acknowledge("user", url)

    def ticker_watches(self, symbols: list[str]) -> Mapping[str, Watch]:
        """Return the streams of prices: the best prices and the last one come apart."""
        return {
            "quotes": partial(self._data.watch_bids_asks, symbols),
            "last": partial(self._data.watch_tickers, symbols, {"name": "miniTicker"}),
        }

    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse candles and prices."""
        symbol = self._symbols.get(str(message.get("s", "")), "")
        if not symbol:
            return
        match self.channel(message):
            case "kline":
                row = message["k"]
                timeframe = self._data.find_timeframe(row["i"])
                self.tell_candles(symbol, timeframe, [[row[key] for key in "tohlcv"]], received_ns)
            case "24hrMiniTicker":
                self._last[symbol] = message["c"]
            case "bookTicker" if symbol in self._last:
                prices = {"last": self._last[symbol], "bid": message["b"], "ask": message["a"]}
                self.tell_tick(unified.tick(prices, symbol, venue_ns=self._venue_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse orders, executions, trigger orders and positions; money comes by REST, the push has no equity."""
        data = self._data
        match self.channel(message):
            case "ORDER_TRADE_UPDATE":
                row = message["o"]
                trades = [data.parse_ws_trade(row)] if row.get("x") == "TRADE" else []
                self.tell_account(number, orders=[data.parse_ws_order(row)], trades=trades)
            case "ALGO_UPDATE":
                row = {"T": message.get("T"), **message["o"]}
                self.tell_account(number, plans=[data.parse_ws_order(row)])
            case "ACCOUNT_UPDATE":
                rows = [row for row in message["a"].get("P", []) if row.get("ps", "BOTH") == "BOTH"]
                self.tell_account(number, positions=[data.parse_ws_position(row) for row in rows])
            case "listenKeyExpired":
                data.options["linear"] = {"listenKey": None, "lastAuthenticatedTime": 0}
                for url in [url for url in self.sockets() if "listenKey=" in url]:
                    drop(data, url, "the listen key has expired; a new one is asked for")
            case _:
                self.tell_account(number)
