"""`omega cosmic study`: does any factor go together with what the market does next? Called by `omega.cli.cosmic`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from omega import plugins
from omega.backtest.feeds import Feed, feeds_in
from omega.cli.cosmic_show import table
from omega.config import Settings
from omega.config.loader import load
from omega.cosmic.readings import Place
from omega.errors import ConfigError

EXAMPLE: Final = "**Example** `omega cosmic study --data ~/candles --timeframe 1d --feeds ~/recorded --json`"
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Recorded = Annotated[str, typer.Option("--feeds", help="Folder of recorded feeds that fetched factors read.")]


def study(
    data: Annotated[str, typer.Option(help="Candle file, folder or lake; default: what the project carries.")] = "",
    symbol: Annotated[str, typer.Option(help="The market.")] = "BTC-USDT.P",
    timeframe: Annotated[str, typer.Option(help="Bars, as in 1h or 1d.")] = "1h",
    since: Annotated[str, typer.Option("--from", help="First bar, ISO 8601 in UTC.")] = "",
    until: Annotated[str, typer.Option("--to", help="End, ISO 8601 in UTC.")] = "",
    feeds: Recorded = "",
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Share of false discoveries that is accepted, over everything.")
    ] = 0.05,
    as_json: Json = False,
) -> None:
    """Correlate every factor with the next bar's return and volatility, and list those whose evidence fails.

    Each p-value is the rank among the same factor at other times, each q-value is corrected for all that was looked at.
    A finding here is a reason for an experiment, never for a weight.
    """
    from rich.console import Console

    from omega.backtest.checks.farm_run import candles_of, venue_name
    from omega.config.loader import project_config
    from omega.research.association import associations, factor_columns
    from omega.storage.lake.read import read_market

    settings = load().settings
    source = Path(data) if data else project_config().parent / "data"
    place = source if source.is_file() else candles_of(source, symbol)
    market = read_market(place, venue_name(symbol), timeframe, since or None, until or None)
    recorded = tuple(recorded_feeds(feeds).values())
    here = place_of(settings)
    with Console(stderr=True).status("reading every factor at every bar; kept for the next time"):
        columns = factor_columns(market.bars.ts, market.timeframe_ns, recorded, (here.latitude, here.longitude))
        found, left_out = associations(columns, market.bars.close, seed=settings.training.seed)
    rows = [asdict(one) | {"verdict": one.verdict(alpha)} for one in found]
    proven = {one.factor for one in found if one.q_value <= alpha}
    failed = sorted({one.factor for one in found} - proven)
    silent = sorted(set(plugins.factors.names()) - set(columns) | set(left_out))
    weighted = {
        name: one.weight for name, one in settings.cosmic.factors.items() if settings.cosmic.enabled and one.enabled
    }
    outcome = {
        "symbol": symbol,
        "timeframe": timeframe,
        "bars": market.bars.n,
        "alpha": alpha,
        "associations": rows,
        "without_history": silent,
        "retire": [{"factor": name, "weight": weighted.get(name, 0.0)} for name in failed],
    }
    if as_json:
        print(json.dumps(outcome, indent=2))
        return
    if rows:
        table(f"{symbol} {timeframe}, {market.bars.n} bars: each factor and the bar after", rows)
    print(f"without a history that changes: {', '.join(silent) or 'none'}")
    print(f"evidence fails, keep off or ramp down: {', '.join(failed) or 'none'}")


def recorded_feeds(folder: str) -> Mapping[str, Feed]:
    """Return the recorded feeds of a folder by factor, none for no folder.

    Raises:
        ConfigError: the folder holds none.
    """
    found = {feed.factor: feed for feed in feeds_in(Path(folder))} if folder else {}
    if folder and not found:
        raise ConfigError(f"{folder} holds no recorded feed; give a folder with fear-greed-1d.csv or kp-ap-3h.csv")
    return found


def place_of(settings: Settings) -> Place:
    """Return the observer's place."""
    return Place(settings.cosmic.place.latitude, settings.cosmic.place.longitude)
