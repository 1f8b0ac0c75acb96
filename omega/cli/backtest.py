"""`omega backtest`: one bot or strategy over recorded history; figures, a page, a picture and the list of trades."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega.cli import history
from omega.cli.asking import writable
from omega.cli.patience import patience
from omega.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from omega.backtest.checks.subjects import Subject
    from omega.backtest.feeds import Feed
    from omega.backtest.influences import Influences
    from omega.backtest.types import Market, Result
    from omega.config import Settings

EXAMPLES = """
**Examples**

`omega backtest ema_cross` · a strategy on the candles that the project carries

`omega backtest fib-btc --report out.html --png out.png` · a configured bot, a page to read and a picture to post

`omega backtest ema_cross --data BTCUSDT-1m.parquet --from 2022-01-01 --to 2023-01-01 --json` · a year of your own file

`omega backtest ema_cross --symbol BTC-USDT.P,ETH-USDT.P --set fast=8 --set slow=34` · two markets, one equity

`omega backtest trend-eth --timeframe 15m --psychology strategic --cosmic only_moon_phase --trades trades.parquet`
"""
_REHEARSAL_BARS = 256
_FEW_TRIALS = 5
_DAYS = 365
_TABLES = (".parquet", ".csv")


@history.takes_history
def backtest(
    bot: history.BotName,
    run: history.Asked,
    feeds: Annotated[
        str, typer.Option(help="Folder of recorded feeds (fear-greed-1d.csv, kp-ap-3h.csv) that cosmic factors read.")
    ] = "",
    report: Annotated[str, typer.Option(help="Write the report to this HTML file.")] = "",
    png: Annotated[str, typer.Option(help="Write the main chart to this PNG file.")] = "",
    trades: Annotated[str, typer.Option(help="Write every trade to this Parquet or CSV file.")] = "",
    as_json: history.Json = False,
) -> None:
    """Trade a bot over recorded history by the rules of the farm, and say what came of it.

    A decision at the close of a bar fills at the next open; stops and targets fill inside bars. Every run is kept in
    the trial ledger, because a figure means less the more often one has tried.
    """
    _check_names(report, png, trades)
    heard = _feeds(feeds)
    from omega.backtest.metrics import holding, metrics
    from omega.backtest.report.cautions import cautions
    from omega.config.loader import load

    settings = load().settings
    subject = history.subject_of(settings, bot, doing="a back-test runs")
    with patience("reading the candles") as say:
        markets = run.markets(settings, subject)
        say("running the back-test; the first one on a machine compiles the kernel")
        capital = run.money(settings, subject, named=bot == subject.name)
        result, load_s = _run(settings, subject, markets, run, capital, heard)
        figures = metrics(result, holding(markets, result))
        luck = _keep_trial(result, figures, run)
        doubts = cautions(result, figures) + (luck.words() if figures["roi"] > 0.0 else [])
        say("writing the files")
        files = _write(result, markets, doubts, report=report, png=png, trades=trades)
    outcome = _outcome(subject, result, figures) | {
        "load_s": round(load_s, 4),
        "trials": luck.trials,
        "deflated_sharpe": luck.deflated,
        "cautions": doubts,
        "files": files,
    }
    if as_json:
        print(json.dumps(outcome, indent=2, allow_nan=False, default=str))
    else:
        from omega.backtest.report.console import show

        show(result, figures, doubts, trials=luck.trials, files=files)


def _check_names(report: str, png: str, trades: str) -> None:
    """Refuse a wrong file name before the work, not after it."""
    wanted = {"--report": (report, (".html", ".htm")), "--png": (png, (".png",)), "--trades": (trades, _TABLES)}
    for option, (name, endings) in wanted.items():
        if name and Path(name).suffix.lower() not in endings:
            raise ConfigError(f"{option} {name}: the name must end in {' or '.join(endings)}")
        writable(name, option)


def _run(
    settings: Settings,
    subject: Subject,
    markets: Sequence[Market],
    asked: history.Asked,
    capital: float,
    feeds: tuple[Feed, ...],
) -> tuple[Result, float]:
    """Run it, and return also the seconds that loading the compiled kernel took: they are no part of the run."""
    from omega.backtest.run import backtest as over_history

    params, rules, costs = _params(subject, asked), asked.rules(settings), asked.costs()
    influences = _influences(asked, markets, feeds)

    def run(over: Sequence[Market]) -> Result:
        return over_history(
            subject.entry, params, over, capital=capital, rules=rules, costs=costs, influences=influences
        )

    began = time.perf_counter()
    run([replace(market, bars=market.bars.prefix(_REHEARSAL_BARS)) for market in markets])
    loaded = time.perf_counter()
    return run(markets), loaded - began


def _params(subject: Subject, asked: history.Asked) -> object:
    from omega.plugins import parse_params

    try:
        return parse_params(subject.entry.params, {**subject.plan.params, **asked.given()})
    except ConfigError as error:
        raise ConfigError(f"{subject.entry.name}: {error}") from None


def _influences(asked: history.Asked, markets: Sequence[Market], feeds: tuple[Feed, ...]) -> Influences | None:
    if asked.cosmic == "off" and asked.psychology == "off":
        return None
    import numpy as np

    from omega.backtest.influences import load_influences

    every = [market.bars.ts for market in markets]
    axis = every[0] if len(every) == 1 else np.unique(np.concatenate(every))
    step = markets[0].timeframe_ns
    return load_influences(asked.psychology, asked.cosmic, axis, timeframe_ns=step, feeds=feeds)


def _feeds(folder: str) -> tuple[Feed, ...]:
    if not folder:
        return ()
    from omega.backtest.feeds import KINDS, feeds_in

    found = feeds_in(Path(folder))
    if not found:
        raise ConfigError(f"--feeds {folder}: no recorded feed is there; known are {', '.join(KINDS)}")
    return found


def _write(
    result: Result, markets: Sequence[Market], doubts: Sequence[str], *, report: str, png: str, trades: str
) -> dict[str, str]:
    if trades:
        from omega.backtest.report.listing import write_trades

        write_trades(Path(trades), result)
    if report:
        from omega.backtest.report.page import write_html

        write_html(Path(report), result, markets, command=_command(), whole_list=trades, doubts=doubts)
    if png:
        from omega.backtest.report.picture import write_png

        write_png(Path(png), result, markets)
    return {kind: name for kind, name in {"report": report, "png": png, "trades": trades}.items() if name}


def _command() -> str:
    return shlex.join(["omega", *sys.argv[1:]])


@dataclass(frozen=True, slots=True)
class _Luck:
    """How often the strategy was tried, and what is left of its Sharpe ratio after so many tries.

    Units: deflated is a probability. Both are None when the ledger could not be written.
    """

    trials: int | None = None
    deflated: float | None = None

    def words(self) -> list[str]:
        """Return the caution that many trials call for, none for the first ones."""
        from omega.backtest.report.words import percent

        if self.trials is None or self.deflated is None or self.trials < _FEW_TRIALS:
            return []
        chance = percent(self.deflated)
        return [
            f"One of {self.trials} trials of this strategy: after so many, the chance that it is no luck is {chance}."
        ]


def _keep_trial(result: Result, figures: dict[str, float], asked: history.Asked) -> _Luck:
    """Write the run to the trial ledger, and judge its Sharpe ratio by every trial that the strategy ever had.

    A ledger that cannot be written does not take the result from whoever waited for it; it is said on stderr.
    """
    from omega.backtest.metrics import as_json
    from omega.research.trials import TrialKind, TrialLedger

    chosen = {
        **result.params,
        "timeframe_ns": result.timeframe_ns,
        "fees": asked.fees,
        "slippage": asked.slippage,
        "funding": bool(asked.funding),
        "cosmic": asked.cosmic,
        "psychology": asked.psychology,
        "rules": result.settings.get("rules", {}),
    }
    try:
        with TrialLedger() as ledger:
            ledger.record(
                result.strategy, chosen, result.data_hash, as_json(figures), TrialKind.BACKTEST, time.time_ns()
            )
            count, others = ledger.count(result.strategy), ledger.sharpes(result.strategy)
    except EnvironmentFault as error:
        print(f"warning: this trial was not counted: {error}", file=sys.stderr)
        return _Luck()
    return _Luck(count, _deflated(result, count, others))


def _deflated(result: Result, count: int, others: Sequence[float]) -> float | None:
    """Return the deflated Sharpe ratio of the daily returns, None where there is no variance to judge by."""
    import numpy as np

    from omega.backtest.metrics import daily_returns, probabilistic_sharpe
    from omega.research.statistics.sharpe import expected_maximum

    daily = daily_returns(result.ts, result.equity, result.capital)
    spread = float(np.var(np.array(others), ddof=1)) / _DAYS if len(others) > 1 else 0.0
    found = probabilistic_sharpe(daily, expected_maximum(count, spread))
    return found if np.isfinite(found) else None


def _outcome(subject: Subject, result: Result, figures: dict[str, float]) -> dict[str, Any]:
    from omega.backtest.first import interpreted
    from omega.backtest.metrics import as_json
    from omega.backtest.report.words import timeframe
    from omega.domain.time import iso

    return {
        "bot": subject.name,
        "strategy": result.strategy,
        "symbols": list(result.symbols),
        "timeframe": timeframe(result.timeframe_ns),
        "from": iso(int(result.ts[0])),
        "to": iso(int(result.ts[-1])),
        "params": dict(result.params),
        "bars": result.bars,
        "trades": int(figures["trades"]),
        "capital": result.capital,
        "final_equity": result.final_equity,
        "elapsed_s": result.elapsed_s,
        "bars_per_s": round(result.bars_per_s),
        "compiled": not interpreted(),
        "data_hash": result.data_hash,
        "metrics": as_json(figures),
        "settings": _plain(result.settings),
    }


def _plain(value: Any) -> Any:
    """Return nested settings as JSON values."""
    if hasattr(value, "items"):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
