"""Settings of the risk gate: limits by scope, correlation, dynamic scaling, protections. All of it reloads live."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from omega.config.fields import LIVE, setting
from omega.config.section import Section

Percent = Annotated[Decimal, Field(gt=0)]


class Levels(Section):
    """How far a measure may go: what each level brings about. A bare number is the level `block`."""

    block: Percent | None = setting(None, "no entry takes the measure beyond it; ends by itself", reload=LIVE)
    reduce_only: Percent | None = setting(
        None,
        "market beyond it: no entries of the scope until a person releases them",
        reload=LIVE,
    )
    flatten: Percent | None = setting(
        None,
        "market beyond it: positions of the scope are closed, then reduce-only",
        reload=LIVE,
    )

    def rising(self) -> bool:
        """Tell whether the levels that are set never fall in the order block, reduce_only, flatten."""
        given = [level for level in (self.block, self.reduce_only, self.flatten) if level is not None]
        return given == sorted(given)

    def falling(self) -> bool:
        """Tell whether they never rise."""
        given = [level for level in (self.block, self.reduce_only, self.flatten) if level is not None]
        return given == sorted(given, reverse=True)


def _number(value: Any) -> Any:
    """Read a number of a file exactly; everything else is left to the model to refuse."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


def _levels(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _number(level) for name, level in value.items()}
    return value if value is None or isinstance(value, Levels) else {"block": _number(value)}


Limit = Annotated[Levels, BeforeValidator(_levels)]


class ScopeLimits(Section):
    """The limits of one scope; what is not set is not limited."""

    gross_notional: Limit | None = setting(
        None, "sum of open and reserved notionals", unit="quote currency", reload=LIVE
    )
    net_notional: Limit | None = setting(
        None, "longs minus shorts, in the worst case of what is under way", unit="quote currency", reload=LIVE
    )
    leverage: Limit | None = setting(None, "gross notional over equity", unit="x", reload=LIVE)
    concentration_pct: Limit | None = setting(
        None, "gross notional of one coin over the scope's equity", unit="% of equity", reload=LIVE
    )
    correlated_notional: Limit | None = setting(
        None, "net notional of symbols that move together", unit="quote currency", reload=LIVE
    )
    orders_per_minute: Limit | None = setting(None, "orders admitted in a minute", unit="1/min", reload=LIVE)
    daily_loss_pct: Limit | None = setting(
        None, "loss since 00:00 UTC, open profit included", unit="% of equity", reload=LIVE
    )
    drawdown_pct: Limit | None = setting(
        None, "loss from the highest equity to now, open profit included", unit="% of the peak", reload=LIVE
    )
    liquidation_distance_pct: Limit | None = setting(
        None, "least distance of a price to its liquidation; scopes account and symbol", unit="%", reload=LIVE
    )

    @model_validator(mode="after")
    def _in_order(self) -> ScopeLimits:
        for name in type(self).model_fields:
            levels = getattr(self, name)
            if levels is None:
                continue
            if name == "liquidation_distance_pct" and not levels.falling():
                raise ValueError(f"{name}: a smaller distance is worse, so write block >= reduce_only >= flatten")
            if name != "liquidation_distance_pct" and not levels.rising():
                raise ValueError(f"{name}: the levels must not fall, so write block <= reduce_only <= flatten")
        return self


class ScopedLimits(Section):
    """Limits by scope. In family, bot and symbol the name `*` stands for each one that is not named."""

    fleet: ScopeLimits = setting(ScopeLimits, "all accounts of risk.accounts together", reload=LIVE)
    venue: ScopeLimits = setting(ScopeLimits, "the accounts at this account's venue together", reload=LIVE)
    account: ScopeLimits = setting(ScopeLimits, "the account", reload=LIVE)
    family: dict[str, ScopeLimits] = setting(dict, "strategy families on the account", reload=LIVE)
    bot: dict[str, ScopeLimits] = setting(dict, "bots", reload=LIVE)
    symbol: dict[str, ScopeLimits] = setting(dict, "symbols on the account", reload=LIVE)

    @model_validator(mode="after")
    def _distances(self) -> ScopedLimits:
        others = {"fleet": self.fleet, "venue": self.venue}
        others |= {f"family.{name}": limits for name, limits in self.family.items()}
        others |= {f"bot.{name}": limits for name, limits in self.bot.items()}
        for where, limits in others.items():
            if limits.liquidation_distance_pct is not None:
                raise ValueError(
                    f"{where}: an exchange liquidates a symbol of an account; "
                    "set liquidation_distance_pct for account or symbol"
                )
        return self


class Correlation(Section):
    """Which symbols move together: groups that are named, else the correlation of the gateway's own bars."""

    groups: dict[str, list[str]] = setting(dict, "symbols that count as one, by a name of your choice", reload=LIVE)
    threshold: float = setting(
        0.7, "correlation from which symbols in no group count as one", unit="fraction", reload=LIVE, gt=0, le=1
    )
    bars: int = setting(240, "returns that it is measured over", unit="bars", reload=LIVE, ge=30, le=5_000)


class Dynamic(Section):
    """Limits of exposure shrink with volatility and drawdown; they never grow beyond what is written."""

    volatility_target_pct: Percent | None = setting(
        None, "daily volatility up to which a symbol's limits stay whole; empty = off", unit="% a day", reload=LIVE
    )
    drawdown_max_pct: Percent | None = setting(
        None,
        "drawdown of the account at which limits are at their floor; empty = off",
        unit="% of the peak",
        reload=LIVE,
    )
    floor: float = setting(0.25, "share of a limit that always remains", unit="fraction", reload=LIVE, gt=0, le=1)
    decay: float = setting(
        0.94, "weight of the past in the variance of returns (RiskMetrics)", unit="fraction", reload=LIVE, gt=0, lt=1
    )


class StoplossGuard(Section):
    """No entries after too many stops."""

    trades: int = setting(3, "round trips that ended at a stop or a liquidation with a loss", reload=LIVE, ge=1)
    lookback_bars: int = setting(60, "how far back they count", unit="bars", reload=LIVE, ge=1)
    stop_bars: int = setting(60, "how long no entry is made", unit="bars", reload=LIVE, ge=1)


class MaxDrawdown(Section):
    """No entries after a drawdown of the bot's equity, open profit included."""

    drawdown_pct: Percent = setting(Decimal(10), "loss from the window's peak", unit="% of the peak", reload=LIVE)
    lookback_bars: int = setting(1_440, "the window", unit="bars", reload=LIVE, ge=1)
    stop_bars: int = setting(240, "how long no entry is made", unit="bars", reload=LIVE, ge=1)


class LowProfit(Section):
    """No entries in a symbol that has earned too little lately."""

    trades: int = setting(4, "least round trips in the window", reload=LIVE, ge=1)
    required_pct: Decimal = setting(Decimal(0), "least sum of their returns", unit="% of the entry", reload=LIVE)
    lookback_bars: int = setting(1_440, "the window", unit="bars", reload=LIVE, ge=1)
    stop_bars: int = setting(240, "how long no entry is made", unit="bars", reload=LIVE, ge=1)


class Protections(Section):
    """Entry locks of one bot, in bars of its own timeframe; what is not set is off."""

    cooldown_bars: int | None = setting(None, "no entry so long after a position was closed", unit="bars", reload=LIVE)
    stoploss_guard: StoplossGuard | None = setting(None, "no entries after too many stops", reload=LIVE)
    max_drawdown: MaxDrawdown | None = setting(None, "no entries after a drawdown of the equity", reload=LIVE)
    low_profit: LowProfit | None = setting(None, "no entries in a symbol that earns too little", reload=LIVE)


class Risk(Section):
    """The risk gate."""

    limits: ScopedLimits = setting(ScopedLimits, "limits by scope", reload=LIVE)
    families: dict[str, list[str]] = setting(
        dict, "strategies by family; a strategy in none is a family of its own", reload=LIVE
    )
    accounts: list[str] = setting(list, "every account of the fleet as venue/account; empty = this one alone")
    shares: dict[str, Percent] = setting(
        dict,
        "part of the fleet's and the venue's limits that each account may use, 0 to 1; accounts without one share the "
        "rest equally",
    )
    fleet_stale_s: float = setting(
        5.0, "age of another account's figures beyond which fleet limits deny entries", unit="s", reload=LIVE, gt=0
    )
    correlation: Correlation = setting(Correlation, "which symbols move together", reload=LIVE)
    dynamic: Dynamic = setting(Dynamic, "limits that shrink with volatility and drawdown", reload=LIVE)
    protections: dict[str, Protections] = setting(
        dict, "entry locks by bot; the name `*` stands for each bot that is not named", reload=LIVE
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Risk:
        if strangers := sorted(set(self.shares) - set(self.accounts)):
            raise ValueError(f"risk.shares names {', '.join(strangers)}, which risk.accounts does not")
        if sum(self.shares.values()) > 1:
            raise ValueError(
                f"risk.shares adds up to {sum(self.shares.values())}, more than 1: the limits would not hold"
            )
        return self
