"""`omega check`: look-ahead, recursion and parity. Exit code 1 when something is found."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from omega.backtest.checks.farm_run import Replayed
    from omega.backtest.checks.parity import Parity
    from omega.backtest.checks.subjects import Subject
    from omega.backtest.types import Market
    from omega.config.loader import Loaded

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

Name = Annotated[str, typer.Argument(help="A bot, a strategy, several of them comma separated, or `all`.")]
Data = Annotated[str, typer.Option(help="Candle file, folder or lake; default: what the project carries.")]
Symbol = Annotated[str, typer.Option(help="Check on this symbol instead of the bot's own, as in BTC-USDT.P.")]
From = Annotated[str, typer.Option("--from", help="First bar to decide on, ISO 8601 UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

EXAMPLES = {
    "lookahead": """
**Examples**

`omega check lookahead all` · every bot and every strategy, on the candles that the project carries

`omega check lookahead fib-btc --data /data/BTCUSDT-1m.parquet --bars 50000 --json`
""",
    "recursion": """
**Examples**

`omega check recursion trend-eth` · tells also how many bars of warm-up would be enough
""",
    "parity": """
**Examples**

`omega check parity fib-btc,trend-eth,ema-btc --bars 20000` · one farm for the bots of different symbols, then another

`omega check parity ema-btc --from 2025-05-20T00:00:00Z --bars 3000 --json`

`omega check parity ema-btc --session var/sessions/ema-btc.session.jsonl` · a session that was recorded before
""",
}
_FINDING = 1
_BARS = 20_000
_FARM_BARS = 3_000


@app.command("lookahead", epilog=EXAMPLES["lookahead"])
def lookahead(
    bot: Name,
    data: Data = "",
    symbol: Symbol = "",
    since: From = "",
    bars: Annotated[int, typer.Option(min=2, help="How many bars to check on.")] = _BARS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the rows that are picked at random.")] = 7,
    as_json: Json = False,
) -> None:
    """Compare signals on a prefix of the history with the prefix of the signals, and trades likewise.

    Names the first row and column that a later bar has changed, and how far ahead the strategy reads.
    """
    from omega.backtest.checks.lookahead import check_lookahead

    def check(subject: Subject, market: Market) -> dict[str, Any]:
        found = check_lookahead(subject.entry, subject.params, market.bars, market=market, seed=seed)
        return found.as_json()

    _each(bot, data, symbol, since, bars, check, _say_lookahead, as_json=as_json)


@app.command("recursion", epilog=EXAMPLES["recursion"])
def recursion(
    bot: Name,
    data: Data = "",
    symbol: Symbol = "",
    since: From = "",
    bars: Annotated[int, typer.Option(min=2, help="How many bars to check on.")] = _BARS,
    window: Annotated[int, typer.Option(min=0, help="Bars that the runner keeps; 0 = runner.window.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the rows that are picked at random.")] = 7,
    as_json: Json = False,
) -> None:
    """Compare signals with little history before them with those of a long one.

    Names the first row and column that more history changes, and how many bars of warm-up would be enough.
    """
    from omega.backtest.checks.recursion import check_recursion
    from omega.config.loader import load

    kept = window or load().settings.runner.window

    def check(subject: Subject, market: Market) -> dict[str, Any]:
        return check_recursion(subject.entry, subject.params, market.bars, window=kept, seed=seed).as_json()

    _each(bot, data, symbol, since, bars, check, _say_recursion, as_json=as_json)


@app.command("parity", epilog=EXAMPLES["parity"])
def parity(
    bot: Name,
    data: Data = "",
    funding: Annotated[str, typer.Option(help="Folder with SYMBOL-8h.csv; default: funding/ of the data.")] = "",
    symbol: Symbol = "",
    since: From = "",
    bars: Annotated[int, typer.Option(min=1, help="How many bars the farm shall decide on.")] = _FARM_BARS,
    session: Annotated[str, typer.Option(help="Compare this recorded session instead of running a farm.")] = "",
    home: Annotated[str, typer.Option(help="Keep logs and sessions of the farm here.")] = "",
    as_json: Json = False,
) -> None:
    """Run the same bars through the back-test and through the farm's processes; every trade must be the same.

    Compared are time, side, size, price and fee of every leg, and its funding. Every difference gets a class: data,
    fill, latency, config or code, with the first quantity that differs and a likely cause.
    """
    from omega.backtest.checks.subjects import subjects
    from omega.config.loader import load

    loaded = load()
    chosen = subjects(loaded.settings, bot, symbol=symbol, trading=True)
    source = Path(data) if data else _project_data()
    rates = Path(funding) if funding else source / "funding"
    if session:
        found = [_of_session(loaded, chosen, source, rates, Path(session))]
        elapsed, place = 0.0, ""
    else:
        with _home(home) as (folder, keep):
            runs = _farms(loaded, chosen, source, rates, folder, since=since, bars=bars, quiet=as_json)
            found = [_of_farm(loaded, one, runs[one.name], rates) for one in chosen]
            elapsed = sum({id(run): run.elapsed_s for run in runs.values()}.values())
            place = str(folder)
            if not all(one.sound for one in found):
                keep()
    outcome = _summary(found, elapsed, place if not all(one.sound for one in found) or home else "")
    print(json.dumps(outcome, indent=2)) if as_json else _say_parity(outcome)
    if not outcome["ok"]:
        raise typer.Exit(_FINDING)


def _each(
    bot: str,
    data: str,
    symbol: str,
    since: str,
    bars: int,
    check: Callable[[Subject, Market], dict[str, Any]],
    say: Callable[[dict[str, Any]], str],
    *,
    as_json: bool,
) -> None:
    """Check every bot that was named; print, and end with 1 when one of them has a finding."""
    from omega.backtest.checks.subjects import subjects
    from omega.config.loader import load

    settings = load().settings
    found = []
    for subject in subjects(settings, bot, symbol=symbol):
        timeframe = subject.plan.timeframe or settings.trading.timeframe
        market = _market(data, subject.plan.symbol, timeframe, since, bars)
        found.append({"bot": subject.name, "symbol": subject.plan.symbol} | check(subject, market))
        if not as_json:
            print(say(found[-1]))
    fine = all(one["ok"] for one in found)
    if as_json:
        print(json.dumps(found[0] if len(found) == 1 else {"ok": fine, "checks": found}, indent=2))
    if not fine:
        raise typer.Exit(_FINDING)


def _market(data: str, symbol: str, timeframe: str, since: str, bars: int) -> Market:
    """Read the history to check on: the newest bars, or those from an instant on."""
    from dataclasses import replace

    from omega.backtest.checks.farm_run import candles_of, venue_name
    from omega.storage.lake.read import read_market

    source = Path(data) if data else _project_data()
    market = read_market(candles_of(source, symbol), venue_name(symbol), timeframe, since or None)
    whole = market.bars
    return replace(market, bars=whole.prefix(bars) if since else whole.since(max(0, whole.n - bars)), symbol=symbol)


def _project_data() -> Path:
    from omega.config.loader import project_config

    return project_config().parent / "data"


def _say_lookahead(one: dict[str, Any]) -> str:
    finding = one["finding"]
    head = f"{one['bot']} ({one['strategy']}), {one['bars']:,} bars, {one['cuts']} prefixes"
    if finding is None:
        return f"{head}: no look-ahead"
    ahead = f"; it reads {one['reads_ahead_bars']} bars ahead" if one["reads_ahead_bars"] else ""
    return f"{head}: LOOKS AHEAD{ahead}\n{_say_finding(finding, 'alone', 'with later bars')}"


def _say_recursion(one: dict[str, Any]) -> str:
    finding, enough = one["finding"], one["suffices_bars"]
    head = f"{one['bot']} ({one['strategy']}), {one['bars']:,} bars, {one['rows']} rows, warm-up {one['warmup']}"
    needs = f"{enough} bars are enough" if enough is not None else "no warm-up that this history can show is enough"
    if finding is None:
        return f"{head}: more history changes nothing ({needs}; greatest drift {one['drift']:.1e})"
    return f"{head}: DEPENDS ON OLDER BARS; {needs}\n{_say_finding(finding, 'whole history', 'short window')}"


def _say_finding(finding: dict[str, Any], one: str, other: str) -> str:
    return (
        f"  row {finding['row']} at {finding['time']}, column {finding['column']}: {one} {finding['expected']}, "
        f"{other} {finding['found']} ({finding['why']})"
    )


def _of_session(loaded: Loaded, chosen: Sequence[Subject], source: Path, rates: Path, session: Path) -> Parity:
    from omega.backtest.checks.farm_run import candles_of, venue_name
    from omega.backtest.checks.recorded import read_recorded
    from omega.errors import ConfigError
    from omega.storage.lake.read import read_market

    recorded = read_recorded(session)
    if recorded.charter["bot"] not in {one.name for one in chosen}:
        named = ", ".join(one.name for one in chosen)
        raise ConfigError(f"{session} is a session of {recorded.charter['bot']}, not of {named}; name the right bot")
    symbol = str(recorded.charter["symbol"])
    market = read_market(candles_of(source, symbol), venue_name(symbol), str(recorded.charter["timeframe"]))
    return _compare(loaded, recorded, market.bars, rates)


def _of_farm(loaded: Loaded, subject: Subject, replayed: Replayed, rates: Path) -> Parity:
    from omega.backtest.checks.recorded import read_recorded

    recorded = read_recorded(replayed.sessions[subject.name])
    return _compare(loaded, recorded, replayed.bars[subject.plan.symbol], rates)


def _compare(loaded: Loaded, recorded: Any, bars: Any, rates: Path) -> Parity:
    from omega.backtest.checks.farm_run import recorded_funding, venue_funding
    from omega.backtest.checks.parity import check_parity
    from omega.backtest.types import Costs

    simulator, instrument = loaded.settings.simulator, recorded.instrument
    costs = Costs(float(instrument.taker_fee), float(instrument.maker_fee), simulator.slippage)
    known = recorded_funding(rates, str(recorded.charter["symbol"]))
    return check_parity(recorded, bars, costs=costs, funding=venue_funding(known, simulator.funding_rate_default, bars))


def _farms(
    loaded: Loaded,
    chosen: Sequence[Subject],
    source: Path,
    rates: Path,
    folder: Path,
    *,
    since: str,
    bars: int,
    quiet: bool,
) -> dict[str, Replayed]:
    """Run one farm after the other, each with bots on symbols of their own; return the run of every bot."""
    from omega.backtest.checks.farm_run import Stretch, replay_farm
    from omega.backtest.checks.subjects import apart
    from omega.domain.time import from_iso

    stretch = Stretch(source, rates if rates.is_dir() else None, from_iso(since) if since else 0, bars)
    groups = apart(list(chosen))
    runs: dict[str, Replayed] = {}
    with _progress(bars * len(groups), quiet=quiet) as progress:
        for number, group in enumerate(groups):
            plans = {one.name: one.plan for one in group}
            home = folder / f"farm-{number + 1}" if len(groups) > 1 else folder
            home.mkdir(parents=True, exist_ok=True)
            work = replay_farm(
                loaded.settings,
                plans,
                stretch,
                home,
                config=loaded.directories[0],
                progress=partial(_further, progress, number * bars),
            )
            run = asyncio.run(work)
            runs |= dict.fromkeys(plans, run)
    return runs


def _further(progress: Callable[[int], None], before: int, done: int) -> None:
    progress(before + done)


@contextmanager
def _progress(bars: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how far the farm is, on a terminal; elsewhere nothing."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task("the farm replays", total=bars)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def _home(named: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Give a folder for one farm run; one that nobody named goes when nothing was found."""
    folder = Path(named).absolute() if named else Path(tempfile.mkdtemp(prefix="omega-parity-"))
    kept = bool(named)

    def keep() -> None:
        nonlocal kept
        kept = True

    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder, keep
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _summary(found: Sequence[Parity], elapsed_s: float, home: str) -> dict[str, Any]:
    bots = [one.as_json() for one in found]
    return {
        "check": "parity",
        "ok": all(one.sound for one in found),
        "bars": min(one.bars for one in found),
        "trades": sum(one.trades for one in found),
        "difference_count": sum(len(one.differences) for one in found),
        "classes": {kind: sum(bot["classes"][kind] for bot in bots) for kind in bots[0]["classes"]},
        "differences": [{"bot": bot["bot"]} | one for bot in bots for one in bot.pop("differences")],
        "elapsed_s": round(elapsed_s, 1),
        "home": home,
        "bots": bots,
    }


def _say_parity(outcome: dict[str, Any]) -> None:
    for one in outcome["bots"]:
        verdict = "every trade is the same" if one["ok"] else f"{one['difference_count']} DIFFERENCES"
        print(
            f"{one['bot']} ({one['strategy']} on {one['symbol']}): {one['bars']:,} bars, {one['trades']} trades, "
            f"{one['open_legs']} legs open: {verdict}"
        )
    for one in outcome["differences"]:
        print(
            f"  {one['bot']} {one['time']} {one['class']}: {one['quantity']} is {one['farm']} in the farm, "
            f"{one['backtest']} in the back-test ({one['cause']})"
        )
    if outcome["home"]:
        print(f"logs and sessions in {outcome['home']}", file=sys.stderr)
