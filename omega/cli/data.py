"""`omega data`: recorded candles: bring them into the lake, check, resample, list and fetch them."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega.domain.time import iso, timeframe_ns
from omega.errors import ConfigError

if TYPE_CHECKING:
    from omega.storage.lake import Audit, Gap, Imported, Lake, Series, Survey, YearMeta

app = typer.Typer(no_args_is_help=True)
LAKE = "var/lake"
SHOWN = 5
"""So many gaps and differences are printed for people; JSON holds them all."""

LakeDir = Annotated[Path, typer.Option("--lake", help="Folder of the lake.", envvar="OMEGA_LAKE")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class PreferOption(StrEnum):
    """Which bar stays where recorded and offered ones disagree."""

    NEITHER = "neither"
    RECORDED = "recorded"
    OFFERED = "offered"


class MarketOption(StrEnum):
    """Which of a venue's markets a symbol names."""

    SWAP = "swap"
    SPOT = "spot"


PreferOpt = Annotated[
    PreferOption, typer.Option("--prefer", help="Which bar stays where two disagree; neither = change nothing.")
]


@app.command("import", epilog="**Example** `omega data import BTCUSDT_PERP-1m.parquet --venue binance`")
def import_(
    sources: Annotated[list[Path], typer.Argument(help="Files SYMBOL-TIMEFRAME.parquet or .csv, or folders of them.")],
    venue: Annotated[str, typer.Option(help="Whose candles they are, as in binance; the files do not say.")],
    symbol: Annotated[str, typer.Option(help="The symbol of a file whose name does not tell it.")] = "",
    timeframe: Annotated[str, typer.Option(help="The same for its timeframe, as in 1m.")] = "",
    prefer: PreferOpt = PreferOption.NEITHER,
    lake: LakeDir = Path(LAKE),
    as_json: Json = False,
) -> None:
    """Bring candle files into the lake; bars that disagree with recorded ones are a finding, never replaced unasked."""
    from dataclasses import replace

    from omega.storage.lake import Lake, Prefer, import_file, open_candles

    files = _files(sources)
    if len(files) > 1 and (symbol or timeframe):
        raise ConfigError(f"--symbol and --timeframe name one file, {len(files)} are given: import them one by one")
    done = []
    with _Bar("rows", quiet=as_json).shown() as bar:
        for path in files:
            file = open_candles(path, timeframe_ns=timeframe_ns(timeframe) if timeframe else 0)
            named = replace(file, symbol=symbol) if symbol else file
            report = import_file(
                Lake(lake),
                named,
                venue,
                command=_command(),
                now_ns=time.time_ns(),
                prefer=Prefer(prefer.value),
                progress=bar.grow,
            )
            done.append((path, report))
    _tell([_imported_json(path, report) for path, report in done], as_json)
    if not as_json:
        for path, report in done:
            _print_imported(str(path), report)
    if any(report.written.refused for _, report in done):
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega data check data/candles`")
def check(
    sources: Annotated[list[Path] | None, typer.Argument(help="Files, folders of files or a lake.")] = None,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="List gaps, but let them be no finding.")] = False,
    lake: LakeDir = Path(LAKE),
    as_json: Json = False,
) -> None:
    """Check every row, the gaps, the last bar, the hashes and higher bars against lower ones; exit 1 on a finding."""
    from omega.storage.lake import audit

    found = [item for path in sources or [lake] for item in audit(path, now_ns=time.time_ns())]
    _tell([_audit_json(item) for item in found], as_json)
    if not as_json:
        for item in found:
            _print_audit(item)
    if any(item.faults or item.survey.unfinished_ns or (item.gaps and not allow_gaps) for item in found):
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega data resample binance/BTCUSDT_PERP --timeframe 1m --to 1h`")
def resample(
    symbol: Annotated[str, typer.Argument(help="SYMBOL or VENUE/SYMBOL, as `omega data list` shows it.")],
    to: Annotated[str, typer.Option(help="The length of the new bars, as in 1h.")],
    timeframe: Annotated[str, typer.Option(help="The recorded bars to make them of.")] = "1m",
    prefer: PreferOpt = PreferOption.NEITHER,
    lake: LakeDir = Path(LAKE),
    as_json: Json = False,
) -> None:
    """Make a series of higher bars in the lake; bars across a gap are marked, those at the ragged ends left out."""
    from omega.storage.lake import Prefer, Series, resample_series

    opened = _opened(lake)
    series = Series(*opened.resolve(symbol), timeframe_ns(timeframe))
    report = resample_series(
        opened, series, timeframe_ns(to), command=_command(), now_ns=time.time_ns(), prefer=Prefer(prefer.value)
    )
    _tell(_imported_json(series, report), as_json)
    if not as_json:
        _print_imported(str(series), report)
    if report.written.refused:
        raise typer.Exit(1)


@app.command("list", epilog="**Example** `omega data list --lineage --at 2025-05-20`")
def list_(
    symbol: Annotated[str, typer.Argument(help="Only this SYMBOL or VENUE/SYMBOL.")] = "",
    lineage: Annotated[bool, typer.Option("--lineage", help="Also where the bars came from.")] = False,
    at: Annotated[str, typer.Option(help="With --lineage: only the sources of the bar at this time.")] = "",
    lake: LakeDir = Path(LAKE),
    as_json: Json = False,
) -> None:
    """List what the lake holds, with gaps and hashes, and where every row came from."""
    opened = _opened(lake)
    only = opened.resolve(symbol) if symbol else None
    rows = [_series_json(opened, item, at) for item in opened.series() if only in {None, (item.venue, item.symbol)}]
    _tell(rows, as_json)
    if as_json:
        return
    for row in rows:
        print(
            f"{row['venue']}/{row['symbol']:<16} {row['timeframe']:>4} {row['rows']:>10} bars  {row['first']} .. "
            f"{row['last']}  missing {row['missing']}"
        )
        for entry in row["lineage"] if lineage else ():
            print(f"    {entry['year']}: {entry['rows']} rows of {entry['source']} by `{entry['command']}`")
            print(f"          {' > '.join(entry['steps'])}, {entry['at']}, sha256 {entry['digest'][:16] or 'none'}")


@app.command(epilog="**Example** `omega data fetch bitget BTCUSDT --timeframe 1m --from 2025-05-01`")
def fetch(
    venue: Annotated[str, typer.Argument(help="An exchange by ccxt's name.")],
    symbol: Annotated[str, typer.Argument(help="The venue's id BTCUSDT or ccxt's name BTC/USDT:USDT.")],
    from_: Annotated[str, typer.Option("--from", help="First bar wanted, ISO 8601.")],
    to: Annotated[str, typer.Option("--to", help="End, exclusive; default: the venue's newest closed bar.")] = "",
    timeframe: Annotated[str, typer.Option(help="Length of the bars.")] = "1m",
    market: Annotated[MarketOption, typer.Option(help="Which market the id names.")] = MarketOption.SWAP,
    rest_url: Annotated[str, typer.Option(help="Another server in the venue's place, as the simulator's.")] = "",
    lake: LakeDir = Path(LAKE),
    as_json: Json = False,
) -> None:
    """Pull closed bars into the lake, at the venue's pace; the same command goes on where it stopped."""
    from omega.storage.lake import Lake
    from omega.storage.lake.fetch import fetch as pull
    from omega.storage.lake.history import ccxt_history
    from omega.storage.lake.stamps import LATEST_NS, instant_ns

    start, end, length = instant_ns(from_, 0), instant_ns(to, LATEST_NS), timeframe_ns(timeframe)
    try:
        with (
            ccxt_history(venue, symbol, length, market=market.value, rest_url=rest_url) as history,
            _Bar("bars", quiet=as_json).shown() as bar,
        ):
            done = pull(
                history,
                Lake(lake),
                start,
                end,
                command=_command(),
                clock=time.time_ns,
                progress=bar.reach,
            )
    except KeyboardInterrupt:
        print("stopped; what was fetched is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    answer = {
        "series": str(done.series),
        "from": iso(done.from_ns),
        "to": iso(done.end_ns),
        "added": done.added,
        "pages": done.pages,
        "resumed": done.resumed,
    }
    _tell(answer, as_json)
    if not as_json:
        print(f"{done.series}: {done.added} bars added up to {iso(done.end_ns)}, {done.pages} pages")


class _Bar:
    """A progress bar on stderr; on a pipe it is silent."""

    def __init__(self, unit: str, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._task = self._progress.add_task(unit, total=None)

    def grow(self, count: int) -> None:
        """Add to what is done."""
        self._progress.advance(self._task, count)

    def reach(self, done: int, total: int) -> None:
        """Say what is done of how much."""
        self._progress.update(self._task, completed=done, total=total)

    @contextmanager
    def shown(self) -> Iterator[_Bar]:
        """Show it for the length of a block."""
        with self._progress:
            yield self


def _files(sources: list[Path]) -> list[Path]:
    from omega.storage.lake.names import candle_files

    found: list[Path] = []
    for source in sources:
        inside = [file.path for file in candle_files(source)] if source.is_dir() else [source]
        if not inside:
            raise ConfigError(f"{source} holds no file SYMBOL-TIMEFRAME.parquet or .csv: name another folder")
        found.extend(inside)
    return found


def _opened(folder: Path) -> Lake:
    from omega.storage.lake import Lake

    if not Lake.is_at(folder):
        raise ConfigError(f"there is no lake at {folder}: name one with --lake, or make it with `omega data import`")
    return Lake(folder)


def _command() -> str:
    return shlex.join(["omega", *sys.argv[1:]])


def _tell(answer: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer, indent=2))


def _survey_json(survey: Survey) -> dict[str, Any]:
    return {
        "rows": survey.rows,
        "first": iso(survey.first_ns) if survey.rows else None,
        "last": iso(survey.last_ns) if survey.rows else None,
        "missing": survey.missing,
        "gaps": [{"from": iso(gap.from_ns), "to": iso(gap.to_ns), "missing": gap.missing} for gap in survey.gaps],
        "zero_volume": survey.zero_volume,
        "unfinished": iso(survey.unfinished_ns) if survey.unfinished_ns else None,
    }


def _imported_json(source: Path | Series, report: Imported) -> dict[str, Any]:
    written = report.written
    return {
        "source": str(source),
        "series": str(report.series),
        **_survey_json(report.survey),
        "added": written.added,
        "replaced": written.replaced,
        "kept": written.kept,
        "refused": written.refused,
        "differences": [str(difference) for difference in written.differences],
        "years": written.years,
    }


def _audit_json(item: Audit) -> dict[str, Any]:
    return {"name": item.name, "timeframe": item.timeframe, **_survey_json(item.survey), "data_hash": item.content} | {
        "faults": item.faults
    }


def _series_json(lake: Lake, series: Series, at: str) -> dict[str, Any]:
    from omega.storage.lake.stamps import instant_ns

    years = lake.years(series)
    wanted = instant_ns(at, 0)
    entries = [
        {
            "year": year,
            "source": entry.origin.source,
            "digest": entry.origin.digest,
            "steps": list(entry.origin.steps),
            "command": entry.origin.command,
            "at": iso(entry.origin.at_ns),
            "rows": entry.rows,
            "first": iso(entry.first_ns),
            "last": iso(entry.last_ns),
        }
        for year, meta in years.items()
        for entry in meta.lineage
        if not at or entry.first_ns <= wanted < entry.last_ns + series.timeframe_ns
    ]
    return {
        "venue": series.venue,
        "symbol": series.symbol,
        "timeframe": series.timeframe,
        "rows": sum(meta.rows for meta in years.values()),
        "first": iso(min(meta.first_ns for meta in years.values())),
        "last": iso(max(meta.last_ns for meta in years.values())),
        "missing": sum(meta.missing for meta in years.values()) + _between_years(years, series),
        "partial": [iso(ts) for meta in years.values() for ts in meta.partial],
        "content": {str(year): meta.content for year, meta in years.items()},
        "lineage": entries,
    }


def _between_years(years: dict[int, YearMeta], series: Series) -> int:
    metas = list(years.values())
    return sum(
        (later.first_ns - earlier.last_ns) // series.timeframe_ns - 1 for earlier, later in itertools.pairwise(metas)
    )


def _print_imported(source: str, report: Imported) -> None:
    written = report.written
    if written.refused:
        print(f"{source}: REFUSED, {written.kept} bars of {report.series} are recorded otherwise; nothing was changed")
    else:
        equal = written.offered - written.added - written.replaced - written.kept
        print(
            f"{source} -> {report.series}: {written.added} added, {equal} known, {written.replaced} replaced, "
            f"{written.kept} recorded otherwise and left as they were"
        )
    for difference in written.differences[:SHOWN]:
        print(f"    {difference}")
    if written.refused:
        print("    find out which source is right, then --prefer recorded or --prefer offered")
    _print_missing(report.survey)


def _print_audit(item: Audit) -> None:
    survey = item.survey
    word = "BAD " if item.faults else "gaps" if item.gaps else "fine"
    span = f"{iso(survey.first_ns)} .. {iso(survey.last_ns)}" if survey.rows else "nothing"
    print(f"{word} {item.name}  {survey.rows} bars  {span}  {item.content[:16]}")
    for fault in item.faults:
        print(f"    {fault}")
    _print_missing(survey)


def _print_missing(survey: Survey) -> None:
    gaps: list[Gap] = survey.gaps
    for gap in gaps[:SHOWN]:
        print(f"    gap: {gap}")
    if len(gaps) > SHOWN:
        print(f"    and {len(gaps) - SHOWN} more gaps, {survey.missing} bars missing in all (--json lists them)")
    if survey.unfinished_ns:
        print(f"    the last bar, {iso(survey.unfinished_ns)}, was still open when the file was written: left out")
