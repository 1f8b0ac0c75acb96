"""What `omega backtest` and `omega sweep` both ask: what to trade over which candles, at what costs, by which rules.

Their options and help, said once, and what follows from them. Heavy packages are imported by the functions that need
them: `--help` waits for none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer

from omega.cli.completing import among, bots_and_strategies
from omega.errors import ConfigError

if TYPE_CHECKING:
    from omega.backtest.checks.subjects import Subject
    from omega.backtest.types import Costs, Market
    from omega.config import Settings
    from omega.engine.decision import Settings as Rules

CAPITAL: Final = 10_000.0

BotName = Annotated[
    str,
    typer.Argument(help="A configured bot (config/bots) or a strategy's name.", autocompletion=bots_and_strategies),
]
Since = Annotated[str, typer.Option("--from", help="First bar, ISO 8601 UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def _option(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options say about a run over history; each field is one of them, in the order of the help."""

    symbol: Annotated[
        str, _option("What to trade; default: the bot's own. A back-test takes several, comma separated.")
    ] = ""
    timeframe: Annotated[str, _option("Bars, as in 1m, 15m, 4h; made of lower ones where needed.")] = ""
    data: Annotated[str, _option("Candle file (Parquet, CSV), folder or lake; default: what the project carries.")] = ""
    since: Since = ""
    until: Annotated[str, _option("End, ISO 8601 UTC; this instant is left out.", "--to")] = ""
    values: Annotated[
        list[str] | None, _option("Fix a parameter of the strategy; repeatable.", "--set", metavar="KEY=VALUE")
    ] = None
    capital: Annotated[
        float | None, _option(f"Money to begin with; default: the bot's own, {CAPITAL:,.0f} for a strategy.")
    ] = None
    fees: Annotated[float, _option("Fee of a fill, a fraction: 0.0006 is 0.06 %.")] = 0.0006
    slippage: Annotated[float, _option("How much worse than the open a fill is, a fraction.")] = 0.0
    funding: Annotated[str, _option("File or folder with SYMBOL-8h.csv; default: no funding.")] = ""
    cosmic: Annotated[str, _option("Cosmic preset, `only_FACTOR` or a file.")] = "off"
    psychology: Annotated[str, _option("Trader profile or a file.")] = "off"
    sizing: Annotated[
        str,
        _option(
            "`risk`, `full` or `all_in`; default: what the strategy says, else by risk.",
            autocompletion=among(("risk", "full", "all_in")),
        ),
    ] = ""
    leverage: Annotated[int, _option("Highest leverage; 0 = trading.max_leverage.", min=0)] = 0
    risk: Annotated[float, _option("% of the equity lost at the stop; 0 = runner.risk_pct.", min=0.0)] = 0.0

    def markets(self, settings: Settings, subject: Subject) -> list[Market]:
        """Read the candles of every symbol that is asked for, else of the bot's own.

        Raises:
            ConfigError: one file is to hold several markets, or it holds no such bars.
        """
        from omega.backtest.checks.farm_run import candles_of, venue_name
        from omega.config.loader import project_config
        from omega.storage.lake.read import read_market

        source = Path(self.data) if self.data else project_config().parent / "data"
        one_file = source.is_file()
        names = [name.strip() for name in self.symbol.split(",") if name.strip()]
        if not names:
            names = [""] if one_file else [subject.plan.symbol]
        if one_file and len(names) > 1:
            raise ConfigError(f"{source} holds one market, {len(names)} were asked for; name a folder or a lake")
        timeframe = self.timeframe or subject.plan.timeframe or ("" if one_file else settings.trading.timeframe)
        found = []
        for name in names:
            market = read_market(
                source if one_file else candles_of(source, name),
                venue_name(name),
                timeframe,
                self.since or None,
                self.until or None,
                funding=self.funding or None,
            )
            found.append(replace(market, symbol=name) if name else market)
        return found

    def given(self) -> dict[str, object]:
        """Return the parameters that --set names, as texts.

        Raises:
            ConfigError: one is no KEY=VALUE.
        """
        found: dict[str, object] = {}
        for text in self.values or ():
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                raise ConfigError(f"--set {text!r} is no KEY=VALUE; write it as in --set fast=8")
            found[key.strip()] = value.strip()
        return found

    def rules(self, settings: Settings) -> Rules:
        """Return the rules of sizing that the options and the settings make.

        Raises:
            ConfigError: there is no such sizing.
        """
        from omega.backtest.run import RULES
        from omega.engine.decision import Sizing as Known

        risk = self.risk or settings.runner.risk_pct
        rules = replace(RULES, risk=risk / 100.0, max_leverage=self.leverage or settings.trading.max_leverage)
        if not self.sizing:
            return rules
        try:
            return replace(rules, sizing=Known(self.sizing))
        except ValueError:
            raise ConfigError(f"--sizing {self.sizing!r} is none of {', '.join(Known)}") from None

    def costs(self) -> Costs:
        """Return what trading costs."""
        from omega.backtest.types import Costs

        return Costs(taker=self.fees, slippage=self.slippage)

    def money(self, settings: Settings, subject: Subject, *, named: bool) -> float:
        """Return the money to begin with, in quote currency: as asked, else the bot's own.

        Args:
            settings: the project's.
            subject: what is run.
            named: whether it is a configured bot; a strategy alone has no money of its own.
        """
        if self.capital is not None:
            return self.capital
        return float(subject.plan.capital or settings.trading.capital) if named else CAPITAL


def takes_history(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a run over history, where its signature says `run: Asked`."""
    types, named = get_type_hints(Asked, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(one.name, named, default=one.default, annotation=types[one.name]) for one in fields(Asked)
    ]
    signature = inspect.signature(command, eval_str=True)
    own = [one.replace(kind=named) for one in signature.parameters.values()]
    at = [one.name for one in own].index("run")
    every = [*own[:at], *shared, *own[at + 1 :]]

    @wraps(command)
    def ran(**given: Any) -> None:
        run = Asked(**{one.name: given.pop(one.name) for one in shared})
        command(**given, run=run)

    ran.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]  # what typer reads
    ran.__annotations__ = {one.name: one.annotation for one in every}
    return ran


def subject_of(settings: Settings, bot: str, *, doing: str) -> Subject:
    """Return the one bot or strategy of a name.

    Raises:
        ConfigError: there is none, or the name means several.
    """
    from omega.backtest.checks.subjects import subjects

    found = subjects(settings, bot, trading=True)
    if len(found) != 1:
        raise ConfigError(f"{bot!r} names {len(found)} bots; {doing} one of them")
    return found[0]
