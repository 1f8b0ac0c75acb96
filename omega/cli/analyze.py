"""`omega analyze`: what can be said about a market, a book and its trades; from a file, the lake, or a running farm."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from omega.cli.asking import writable
from omega.cli.completing import among, symbols
from omega.cli.history import Since
from omega.cli.patience import patience
from omega.errors import ConfigError, Denied, EnvironmentFault

if TYPE_CHECKING:
    from omega.analytics.context import Context
    from omega.bus import Bus, Scalar
    from omega.config import Settings

EXAMPLES: Final = """
**Examples**

`omega analyze BTC-USDT.P fib` · Fibonacci on the candles that the project carries

`omega analyze BTC-USDT.P structure --data BTCUSDT-1h.parquet --to 2024-03-01 --png btc.png --theme light`

`omega analyze ETH-USDT.P trend --timeframe 4h --set horizon=12 --json` · a forecast with its record

`omega analyze BTC-USDT.P position --live` · the open books of the running farm

`omega analyze BTC-USDT.P all --live --json` · everything that the running service can say
"""
LAKE: Final = "var/lake"
BARS: Final = 2_000
WITHIN_S: Final = 150.0
_THEMES: Final = ("dark", "light")
_NUMBERS: Final = 12
"""Figures that people are shown of one analysis; JSON holds them all."""
_FINDINGS: Final = 12
_KNOWN: Final = "close of bar"
"""The column that names, by its open time in UTC, the bar at whose close a finding could be known."""


def _analyses(incomplete: str) -> list[str]:
    from omega.analytics.run import names

    return [name for name in names() if name.startswith(incomplete)]


def analyze(
    symbol: Annotated[str, typer.Argument(help="A symbol, as in BTC-USDT.P.", autocompletion=symbols)],
    what: Annotated[
        str,
        typer.Argument(help="Which analysis; `all` makes every one whose inputs are there.", autocompletion=_analyses),
    ] = "all",
    data: Annotated[
        str, typer.Option(help="Candle file, folder or lake; default: var/lake, else what the project carries.")
    ] = "",
    timeframe: Annotated[str, typer.Option(help="Bars, as in 15m, 1h, 1d; default: the file's own, else 1h.")] = "",
    since: Since = "",
    until: Annotated[str, typer.Option("--to", help="The instant of the analysis: nothing later is read.")] = "",
    bars: Annotated[int, typer.Option(min=0, help="Newest bars that are read; 0 = all of them.")] = BARS,
    peers: Annotated[
        str, typer.Option(help="Other symbols for correlations, comma separated, from the same folder or lake.")
    ] = "",
    ticks: Annotated[str, typer.Option(help="Folder of recorded order-book ticks, for integrity.")] = "",
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the analysis; repeatable.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the analytics service of the running farm.")] = False,
    png: Annotated[str, typer.Option(help="Write the picture to this PNG file.")] = "",
    theme: Annotated[str, typer.Option(help="dark or light.", autocompletion=among(_THEMES))] = "dark",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Analyse a market: Fibonacci, patterns, structure, levels, trend, risk, and the farm's positions and performance.

    Nothing later than --to is read. Every kind of finding carries what it was worth on recorded data, out of sample:
    most do not beat chance, and then it says so. No answer is advice.
    """
    given = _given(values or ())
    _check(what, given, png=png, theme=theme)
    if live:
        if data or since or until or ticks or peers:
            raise ConfigError("--live reads the running farm: leave out --data, --from, --to, --ticks and --peers")
        answer, picture = _ask(symbol, what, timeframe, given, theme if png else "")
    else:
        asked = _Asked(symbol, timeframe, data, since, until, bars, peers, ticks)
        answer, picture = _make(asked, what, given, theme if png else "")
    if png:
        _write(Path(png), picture)
        answer["file"] = png
    if as_json:
        print(json.dumps(answer, indent=2, allow_nan=False))
    else:
        _print(answer)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say about the data."""

    symbol: str
    timeframe: str
    data: str
    since: str
    until: str
    bars: int
    peers: str
    ticks: str


def _given(values: Sequence[str]) -> dict[str, object]:
    given: dict[str, object] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {text!r} is no KEY=VALUE; write it as in --set horizon=12")
        given[key.strip()] = value.strip()
    return given


def _check(what: str, given: Mapping[str, object], *, png: str, theme: str) -> None:
    """Refuse a wrong word before the work, not after it."""
    from omega.analytics.run import ALL, entries
    from omega.params import describe, parse_params

    chosen = entries(what)
    known = {spec.name for entry in chosen for spec in describe(entry.params)}
    if strange := sorted(set(given) - known):
        raise ConfigError(f"{what} has no parameter {', '.join(strange)}; it has {', '.join(sorted(known)) or 'none'}")
    for entry in chosen:
        own = {spec.name for spec in describe(entry.params)}
        parse_params(entry.params, {key: value for key, value in given.items() if what != ALL or key in own})
    if theme not in _THEMES:
        raise ConfigError(f"--theme {theme!r} is none of {', '.join(_THEMES)}")
    if png and Path(png).suffix.lower() != ".png":
        raise ConfigError(f"--png {png}: the name must end in .png")
    writable(png, "--png")


def _make(asked: _Asked, what: str, given: Mapping[str, object], theme: str) -> tuple[dict[str, Any], bytes]:
    with patience("reading the candles") as say:
        context = _context(asked, what)
        say(f"analysing: {what}")
        from omega.analytics.analysis import as_json
        from omega.analytics.run import run

        made = run(what, context, given)
        picture = b""
        if theme:
            say("drawing")
            from omega.analytics.charts import draw

            picture = draw(made, context, theme=theme)
    answer = {"symbol": context.symbol, "timeframe": context.timeframe, "analyses": [as_json(one) for one in made]}
    return answer, picture


def _context(asked: _Asked, what: str) -> Context:
    """Read what is recorded; open positions and trades are the running farm's, and are not there."""
    from omega.analytics.analysis import Input
    from omega.analytics.context import Context
    from omega.analytics.run import needs
    from omega.backtest.report.words import timeframe as words
    from omega.domain.time import iso

    ticks = Path(asked.ticks) if asked.ticks else None
    if ticks and not ticks.is_dir():
        raise ConfigError(f"--ticks {ticks} is no folder; name the one with the recorded order-book files")
    if "bars" not in needs(what):
        return Context(asked.symbol, asked.timeframe or "1m", 0, ticks=ticks)
    source, bars, length_ns = _bars(asked, asked.symbol)
    closed = int(bars.ts[-1]) + length_ns
    others = [name.strip() for name in asked.peers.split(",") if name.strip()]
    return Context(
        symbol=asked.symbol,
        timeframe=words(length_ns),
        now_ns=closed,
        market=bars,
        peers={name: _bars(asked, name)[1] for name in others},
        ticks=ticks,
        inputs=(Input(f"{bars.n:,} bars to {iso(closed)}", str(source), closed, 0.0),),
    )


def _bars(asked: _Asked, symbol: str) -> tuple[Path, Any, int]:
    from omega.backtest.checks.farm_run import candles_of, venue_name
    from omega.storage.lake.read import read_market
    from omega.storage.lake.stamps import LATEST_NS, instant_ns

    source = _source(asked, symbol)
    one_file = source.is_file()
    place = source if one_file else candles_of(source, symbol)
    found = read_market(
        place,
        "" if one_file else venue_name(symbol),
        asked.timeframe or ("" if one_file else "1h"),
        asked.since or None,
        asked.until or None,
    )
    # A range is of open times: its last bar may close after the instant that is asked about.
    last_ns = instant_ns(asked.until, LATEST_NS) - found.timeframe_ns
    closed = found.bars.prefix(int(found.bars.ts.searchsorted(last_ns, side="right")))
    if not closed.n:
        raise ConfigError(f"no bar of {symbol} had closed at {asked.until}: give a later --to, or a lower --timeframe")
    return source, closed.since(max(closed.n - asked.bars, 0)) if asked.bars else closed, found.timeframe_ns


def _source(asked: _Asked, symbol: str) -> Path:
    """Return where the candles are: what was named, else the lake where it knows the symbol, else the project's own."""
    if asked.data:
        return Path(asked.data)
    from omega.backtest.checks.farm_run import venue_name
    from omega.config.loader import project_config
    from omega.storage.lake import Lake

    if Lake.is_at(Path(LAKE)):
        try:
            Lake(Path(LAKE)).resolve(venue_name(symbol))
        except ConfigError:
            return project_config().parent / "data"
        return Path(LAKE)
    return project_config().parent / "data"


def _ask(
    symbol: str, what: str, timeframe: str, given: Mapping[str, object], theme: str
) -> tuple[dict[str, Any], bytes]:
    """Ask the running service.

    Raises:
        EnvironmentFault: no service answers.
    """
    from omega.cli.telling import with_bus

    params: dict[str, Scalar] = {key: str(value) for key, value in given.items()}
    params |= {"analysis": what, "symbol": symbol, "timeframe": timeframe, "chart": theme}

    async def work(bus: Bus, _settings: Settings) -> object:
        return await bus.ask("analytics", "analyze", params, within_ns=int(WITHIN_S * 1e9))

    with patience("asking the analytics service"):
        answer = with_bus(work)
    if not isinstance(answer, dict):
        raise Denied("the analytics service answered with no object; bring service and command line to one version")
    return answer, base64.b64decode(answer.pop("png", ""))


def _write(path: Path, picture: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the picture to {path}: {error.strerror}; name another file") from None


def _print(answer: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for one in answer["analyses"]:
        console.print(f"[bold]{escape(one['symbol'])} {one['timeframe']} · {one['analysis']}[/]  as of {one['as_of']}")
        console.print(escape(one["summary"]))
        _print_findings(console, one["findings"])
        _print_numbers(console, one["numbers"])
        for words in one["caveats"]:
            console.print(f"[dim]note[/] {escape(words)}")
        read = "; ".join(f"{row['name']} ({row['source']}, {row['age_s']:.0f} s old)" for row in one["inputs"])
        console.print(f"[dim]read[/] {escape(read)}\n")
    if answer.get("file"):
        console.print(f"[dim]picture[/] {escape(answer['file'])}")
    if answer.get("corr"):
        console.print(f"[dim]kept under[/] {answer['corr']}, {answer.get('age_s', 0.0):.0f} s old")


def _print_findings(console: Any, findings: Sequence[Mapping[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not findings:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (_KNOWN, "what", "side", "", "on recorded data"):
        table.add_column(name, no_wrap=name == _KNOWN, overflow="fold")
    for row in findings[:_FINDINGS]:
        table.add_row(row["at"][:16], row["name"], row["direction"], escape(row["text"]), _evidence(row["evidence"]))
    console.print(table)
    if len(findings) > _FINDINGS:
        console.print(f"[dim]and {len(findings) - _FINDINGS} more: --json lists them all[/]")


def _print_numbers(console: Any, numbers: Sequence[Mapping[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for row in numbers[:_NUMBERS]:
        value = "not defined" if row["value"] is None else f"{row['value']:,.6g}"
        table.add_row(escape(row["name"]), value, f"[dim]{escape(row['unit'])}[/]")
    console.print(table)
    if len(numbers) > _NUMBERS:
        console.print(f"[dim]and {len(numbers) - _NUMBERS} more figures: --json lists them all[/]")


def _evidence(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if not row["n"]:
        return str(row["verdict"])
    return f"{row['rate']:.0%} of {row['n']:,} (chance {row['base_rate']:.0%}): {row['verdict']}"
