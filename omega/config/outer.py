"""Settings of the outer services: Discord, analytics, the simulator, and the bots themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from omega.config.fields import BAR, LIVE, setting
from omega.config.section import NO_SECRET, Section
from omega.domain import Mode


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text)]
"""A text that YAML may have read as a number: `speed: 60`, a Discord id."""

BotKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]
ParamValue = bool | int | float | str


class Channels(Section):
    """Where notices go; an empty id sends none."""

    trades: Text = setting("", "channel id of entry and exit notices", reload=LIVE)
    alerts: Text = setting("", "channel id of halts, naked positions, lost services", reload=LIVE)
    audit: Text = setting("", "channel id of what people did", reload=LIVE)


class Notices(Section):
    """Which notices are sent, and how many."""

    entries: bool = setting(True, "a notice for each entry", reload=LIVE)
    exits: bool = setting(True, "a notice for each exit", reload=LIVE)
    halts: bool = setting(True, "a notice for each halt and release", reload=LIVE)
    per_minute: int = setting(20, "notices a minute; the rest is collapsed into one", unit="1/min", reload=LIVE, ge=1)


class DiscordBot(Section):
    """The bot in the guild."""

    enabled: bool = setting(True, "whether `omega up` starts it when there is a token")
    token: SecretStr = setting(NO_SECRET, "bot token, from a secret file")
    api_base: str = setting("", "REST base; empty = Discord's own. Another one is refused in live mode")
    gateway_url: str = setting("", "gateway address; empty = the one that Discord names. Refused in live mode")
    guild_id: Text = setting("", "the one guild that is served")
    tiers: dict[Text, Literal["viewer", "trader", "operator", "admin"]] = setting(dict, "tier by role id", reload=LIVE)
    elevated_users: list[Text] = setting(list, "user ids that are admin whatever their roles", reload=LIVE)
    default_tier: Literal["none", "viewer"] = setting("viewer", "tier of members without a listed role", reload=LIVE)
    channels: Channels = setting(Channels, "where notices go")
    persona: str = setting("xyko", "voice of notices and answers", reload=LIVE)
    notices: Notices = setting(Notices, "which notices are sent")
    confirm_s: float = setting(60.0, "life of a confirm button", unit="s", reload=LIVE, gt=0)


class AnalysisTimer(Section):
    """One analysis that is made again and again."""

    analysis: str = setting(..., "a registered analysis, or all")
    symbol: str = setting(..., "symbol as in gateway.symbols")
    timeframe: str = setting("1m", "bars that it reads", pattern=r"^[1-9][0-9]*[mhdw]$")
    every_s: float = setting(300.0, "time between two of them", unit="s", gt=0)


class Analytics(Section):
    """Analyses on request and on timers; the heavy work is done by a process of its own."""

    bars: int = setting(2_000, "bars that an analysis reads at most", unit="bars", reload=LIVE, ge=100, le=100_000)
    data: str = setting("", "folder or lake of recorded bars for what the bus does not hold; empty = none")
    within_s: float = setting(120.0, "time that one analysis may take; then its worker is ended", unit="s", gt=0)
    cache_s: float = setting(
        60.0, "age up to which the same question on the same bars has the same answer", unit="s", reload=LIVE, ge=0
    )
    idle_s: float = setting(120.0, "time without work after which the worker's memory is given back", unit="s", gt=0)
    timers: list[AnalysisTimer] = setting(list, "analyses that are made and published by themselves")


class SimulatorKey(Section):
    """One account of the local exchange and what signs for it: worthless outside of it."""

    key: str = setting("demo-key", "API key")
    secret: SecretStr = setting(SecretStr("demo-secret"), "its secret")
    passphrase: SecretStr = setting(SecretStr("demo-pass"), "its passphrase")


class Simulator(Section):
    """The local exchange. It refuses to start in the live environment."""

    host: str = setting("127.0.0.1", "address of REST, WebSocket and admin")
    port: int = setting(8090, "port of REST and WebSocket; 0 = a free one", ge=0, le=65535)
    admin_port: int = setting(8091, "port of the admin interface; 0 = a free one", ge=0, le=65535)
    data_dir: str = setting("", "directory with candles/ and funding/; empty = what the project carries")
    symbols: list[str] = setting(lambda: ["BTC-USDT.P", "ETH-USDT.P"], "symbols that are served")
    start: Text = setting("", "instant at which the replay starts, ISO 8601 UTC; empty = after the warm-up history")
    speed: Text = setting(
        "1", "lockstep, or how many times faster than the clock", pattern=r"^(lockstep|[0-9]+(\.[0-9]+)?)$"
    )
    seed: int = setting(7, "seed of the path inside bars", ge=0)
    slippage: float = setting(0.0002, "what a market fill costs beyond the open", unit="fraction", ge=0, lt=0.1)
    spread: float = setting(0.0001, "ask minus bid", unit="fraction", ge=0, lt=0.1)
    keys: list[SimulatorKey] = setting(lambda: [SimulatorKey()], "accounts that may log in")
    starting_balance: Decimal = setting(Decimal(100_000), "money of each account", unit="USDT", gt=0)
    limits: Literal["on", "off"] = setting("on", "rate limits of the wire")
    state: str = setting("", "file that brings a killed simulator back as it was; empty = none")
    hold: bool = setting(False, "the running clock waits for POST /go on the admin port")
    funding_rate_default: float = setting(
        0.0001, "rate at funding instants without a recorded one", unit="fraction a period"
    )


class Bot(Section):
    """One bot: which strategy, on what, with how much."""

    strategy: str = setting(..., "registered name of the strategy")
    symbol: str = setting(..., "what it trades or watches")
    timeframe: str = setting("", "its bars; empty = trading.timeframe")
    mode: Mode | None = setting(None, "shadow, paper or live; empty = trading.mode")
    persona: str = setting("xyko", "voice of its notices", reload=LIVE)
    labels: dict[Text, Text] = setting(dict, "what selectors go by, for example family: trend", reload=LIVE)
    capital: Decimal | None = setting(None, "its money; empty = trading.capital", unit="quote currency", gt=0)
    enabled: bool = setting(True, "whether it is started")
    params: dict[str, ParamValue] = setting(dict, "the strategy's own parameters; the strategy checks them", reload=BAR)
    psychology: str = setting(
        "", "trader profile (config/psychology) that tempers its entries; empty = off; unproven", reload=BAR
    )
    cosmic: str = setting(
        "",
        "cosmic preset (config/cosmic_presets, or only_FACTOR) over its entries, or off; empty = what cosmic.yaml says",
        reload=BAR,
    )
