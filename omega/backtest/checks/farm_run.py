"""Run the whole farm as processes in lock-step over a stretch of history, and keep the session of every bot.

The farm's half of the check of parity. Called by `omega check parity` and by its tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from omega.backtest.types import FundingSeries
from omega.config import Bot, Settings
from omega.domain import MINUTE_NS, MS_NS, iso, timeframe_ns
from omega.engine import I64, Bars
from omega.errors import ConfigError

SUFFIX: Final = ".session.jsonl"
RECORD_DIR: Final = "OMEGA_RUNNER__RECORD"
FUNDING_NS: Final = 8 * 3_600 * 1_000_000_000
_SPARE: Final = 64
"""Minutes of history before the oldest bar that a runner asks for."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of recorded minutes that a farm shall replay.

    Attributes:
        source: a folder of candles, a file or a lake, as `read_market` takes it.
        funding: a folder with `SYMBOL-8h.csv`, None for the venue's default rate at every instant.
        start_ns: the instant from which on bars are decided on, ns UTC; 0 for the earliest that the history allows.
        bars: how many bars to decide on.
    """

    source: Path
    funding: Path | None
    start_ns: int
    bars: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a farm run leaves behind: the sessions by bot, the bars by farm symbol, and how many bars went through."""

    sessions: Mapping[str, Path]
    bars: Mapping[str, Bars]
    done: int
    elapsed_s: float


def venue_name(symbol: str) -> str:
    """Return how candle files and the venue spell a farm symbol: BTC-USDT.P is BTCUSDT."""
    return symbol.split(".", maxsplit=1)[0].replace("-", "")


def candles_of(source: Path, symbol: str) -> Path:
    """Return where the candles of a farm symbol are: in a folder as `omega up --data` takes it, or the place itself."""
    inside = source / "candles"
    place = inside if inside.is_dir() else source
    named = place / f"{venue_name(symbol)}-1m.parquet"
    return named if named.is_file() else place


def recorded_funding(folder: Path, symbol: str) -> FundingSeries | None:
    """Return the recorded rates of a farm symbol, None where the folder has none."""
    from omega.storage.lake.funding import read_funding

    file = folder / f"{venue_name(symbol)}-8h.csv"
    return read_funding(file, venue_name(symbol)) if file.is_file() else None


def read_stretch(stretch: Stretch, symbols: tuple[str, ...], window: int) -> tuple[dict[str, Bars], int]:
    """Read the minutes of every symbol, the window before the start included; return them and the start.

    Raises:
        ConfigError: the history is too short, or has a gap.
    """
    from omega.storage.lake.read import read_market

    whole = {
        symbol: read_market(candles_of(stretch.source, symbol), venue_name(symbol), "1m").bars for symbol in symbols
    }
    before = (window + _SPARE) * MINUTE_NS
    earliest = max(int(bars.ts[0]) for bars in whole.values()) + before
    start = stretch.start_ns - stretch.start_ns % MINUTE_NS or earliest
    if start < earliest:
        raise ConfigError(f"the runner's window of {window} bars needs a start at {iso(earliest)} or later; --from it")
    since, until = start - before, start + (stretch.bars + 1) * MINUTE_NS
    cut: dict[str, Bars] = {}
    for symbol, bars in whole.items():
        rows = (bars.ts >= since) & (bars.ts < until)
        cut[symbol] = bars.prefix(int(rows.nonzero()[0][-1]) + 1 if rows.any() else 0).since(int(rows.argmax()))
        _whole(cut[symbol], symbol, since, until)
    return cut, start


def venue_funding(rates: FundingSeries | None, default: float, bars: Bars) -> FundingSeries:
    """Return what the simulator settles at every instant of a stretch: the recorded rate, else its default one."""
    first = (int(bars.ts[0]) // FUNDING_NS + 1) * FUNDING_NS
    instants: I64 = np.arange(first, int(bars.ts[-1]) + MINUTE_NS + 1, FUNDING_NS, dtype=np.int64)
    rate = np.full(len(instants), default)
    if rates is not None:
        known = dict(zip((rates.ts - rates.ts % FUNDING_NS).tolist(), rates.rate.tolist(), strict=True))
        rate = np.asarray([known.get(instant, default) for instant in instants.tolist()], dtype=np.float64)
    return FundingSeries(instants, rate)


async def replay_farm(
    settings: Settings,
    bots: Mapping[str, Bot],
    stretch: Stretch,
    home: Path,
    *,
    config: Path,
    progress: Callable[[int], None] = lambda _done: None,
    extra_env: Mapping[str, str] | None = None,
) -> Replayed:
    """Replay a stretch through simulator, gateway, bus and one runner a bot, all of them processes.

    Args:
        settings: of the environment; the bots are those given.
        bots: by name.
        stretch: what to replay.
        home: where logs, journal, data and sessions of the run go.
        config: the configuration directory that the farm shall use, but for its bots.
        progress: called with the number of bars that are through.
        extra_env: added to every process' environment.

    Raises:
        ConfigError: the history does not hold the stretch, or a bot wants another timeframe than the farm's.
        EnvironmentFault: a process did not become ready, or the farm did not get over a bar.
    """
    from omega.cli.farm import Farm, FarmOptions

    symbols = tuple(sorted({bot.symbol for bot in bots.values()}))
    _one_timeframe(settings, bots)
    bars, start_ns = read_stretch(stretch, symbols, settings.runner.window)
    _lay_out(home, bars, stretch.funding, bots, config)
    listed = ",".join(symbols)
    env = {
        "OMEGA_CONFIG_DIR": str(home / "config"),
        "OMEGA_GATEWAY__SYMBOLS": listed,
        "OMEGA_SIMULATOR__SYMBOLS": listed,
        RECORD_DIR: str(home / "sessions"),
        **(extra_env or {}),
    }
    options = FarmOptions(
        bots=tuple(bots),
        speed="lockstep",
        bars=stretch.bars,
        home=home,
        seed=settings.training.seed,
        start=iso(start_ns),
        data=str(home / "data"),
        redis_url="",
        extra_env=env,
    )
    async with Farm(settings, options) as farm:
        assert farm.conductor is not None
        await farm.conductor.run(stretch.bars, progress)
        await farm.until_ready(set(farm.processes.children))
        done, elapsed = farm.conductor.bars, farm.conductor.elapsed_s
    sessions = {name: home / "sessions" / f"{name}{SUFFIX}" for name in bots}
    return Replayed(sessions, bars, done, elapsed)


def _whole(bars: Bars, symbol: str, since: int, until: int) -> None:
    """Refuse a stretch with a hole: the venue's clock has none.

    Raises:
        ConfigError: minutes are missing.
    """
    wanted = (until - since) // MINUTE_NS
    if bars.n < wanted:
        gaps = np.flatnonzero(np.diff(bars.ts) > MINUTE_NS)
        place = int(bars.ts[gaps[0]]) if gaps.size else int(bars.ts[-1]) if bars.n else since
        raise ConfigError(
            f"{symbol}: {bars.n:,} of the {wanted:,} minutes from {iso(since)} to {iso(until)} are recorded, the first "
            f"are missing behind {iso(place)}; choose another --from, or fewer --bars"
        )


def _one_timeframe(settings: Settings, bots: Mapping[str, Bot]) -> None:
    farm = settings.trading.timeframe
    for name, bot in bots.items():
        if timeframe_ns(bot.timeframe or farm) != timeframe_ns(farm):
            raise ConfigError(
                f"{name} trades {bot.timeframe} bars; a lock-step farm moves by its trading.timeframe {farm}: "
                "set OMEGA_TRADING__TIMEFRAME and OMEGA_GATEWAY__TIMEFRAMES to it"
            )


def _lay_out(home: Path, bars: Mapping[str, Bars], funding: Path | None, bots: Mapping[str, Bot], config: Path) -> None:
    """Write candles, funding and configuration of the run into its home."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    (home / "data" / "candles").mkdir(parents=True, exist_ok=True)
    for symbol, one in bars.items():
        columns = {"ts": one.ts // MS_NS} | {name: getattr(one, name) for name in ("open", "high", "low", "close")}
        table = pa.table(columns | {"volume": one.volume})
        pq.write_table(table, home / "data" / "candles" / f"{venue_name(symbol)}-1m.parquet")
    (home / "data" / "funding").mkdir(exist_ok=True)
    for symbol in bars:
        name = f"{venue_name(symbol)}-8h.csv"
        if funding is not None and (funding / name).is_file():
            shutil.copy(funding / name, home / "data" / "funding" / name)
    if (home / "config").exists():
        shutil.rmtree(home / "config")
    shutil.copytree(config, home / "config", ignore=shutil.ignore_patterns("bots"))
    (home / "config" / "bots").mkdir()
    plans = {name: bot.model_dump(mode="json", exclude_defaults=True) for name, bot in bots.items()}
    text = yaml.safe_dump({"bots": plans}, sort_keys=True)
    (home / "config" / "bots" / "parity.yaml").write_text(text, encoding="utf-8")
