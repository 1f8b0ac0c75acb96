"""`omega up`: the whole farm on this machine, the same processes that the containers run, with a live table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from omega.cli.asking import folder
from omega.cli.farm import Farm, FarmOptions
from omega.cli.farm.composition import KILL_KEY_FILE, KILL_URL_FILE, LOCKSTEP, URL_FILE, interrupted
from omega.cli.farm.result import result
from omega.config import Settings
from omega.config.loader import load
from omega.domain import from_iso
from omega.errors import ConfigError, EnvironmentFault
from omega.resilience import ended

EXAMPLES = """
**Examples**

`omega up` · the demo farm on recorded Bitcoin and Ether, four bars a second

`omega up --speed lockstep --bars 3000 --json` · as fast as the machine goes, one JSON object at the end

`omega up --bots fib-btc,ema-btc --speed 600 --plain` · two bots, ten bars a second, plain lines
"""
DEFAULT_SPEED = "240"
REDRAW_S = 0.25
KEEP_RUNS = 5
LEAST_FREE_MB = 200


def up(
    bars: Annotated[int, typer.Option(min=0, help="Stop after so many bars; 0 = run until Ctrl-C.")] = 0,
    speed: Annotated[
        str,
        typer.Option(help="`lockstep` (the next bar comes when the farm is done with this one), or times real time."),
    ] = DEFAULT_SPEED,
    bots: Annotated[str, typer.Option(help="Bots to run, by name, comma separated; default: the enabled ones.")] = "",
    start: Annotated[str, typer.Option(help="Instant in the recorded market to start from, ISO 8601 UTC.")] = "",
    data: Annotated[
        str, typer.Option(help="Directory with candles/ and funding/; default: what the project carries.")
    ] = "",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything that is drawn; default: training.seed.")
    ] = None,
    home: Annotated[str, typer.Option(help="Directory of this run's journal, database and logs.")] = "",
    record: Annotated[
        str, typer.Option(help="Folder for the sessions of all bots; `omega replay` runs them again.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")] = False,
) -> None:
    """Start the farm: simulator, gateway, ledger, cosmic, analytics, a runner a bot; show it trading; Ctrl-C stops it.

    The Discord bot joins when a token is configured and discord_bot.enabled is true. OMEGA_REDIS_URL names a Redis
    server; otherwise an embedded one is started.
    """
    settings = load().settings
    options = _options(
        settings,
        bars=bars,
        speed=speed,
        bots=bots,
        start=start,
        data=data,
        seed=settings.training.seed if seed is None else seed,
        home=home,
        record=record,
    )
    show = _Show.JSON if as_json else _Show.PLAIN if plain or not sys.stdout.isatty() else _Show.TABLE
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        outcome = runner.run(_run(settings, options, show))
    if as_json:
        print(json.dumps(outcome, indent=2))
    else:
        _say_goodbye(outcome, options.home)
    if not all(outcome["invariants"][name] for name in ("books_equal_venue", "every_position_has_stop")):
        raise typer.Exit(1)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop where it is installed: the conductor sits between any two bars of a replay."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Show:
    TABLE, PLAIN, JSON = "table", "plain", "json"


def _options(
    settings: Settings, *, bars: int, speed: str, bots: str, start: str, data: str, seed: int, home: str, record: str
) -> FarmOptions:
    import os

    if settings.trading.mode == "live":
        raise ConfigError("`omega up` runs the simulator and play money only; deploy live bots with kubectl apply -k")
    if speed != LOCKSTEP and not _positive(speed):
        raise ConfigError(f"--speed {speed!r} is neither `{LOCKSTEP}` nor a number above 0, as in 60")
    names = tuple(name.strip() for name in bots.split(",") if name.strip()) or tuple(
        name for name in sorted(settings.bots) if settings.bots[name].enabled
    )
    if unknown := [name for name in names if name not in settings.bots]:
        known = ", ".join(sorted(settings.bots))
        raise ConfigError(f"no bot is called {', '.join(unknown)}; configured are {known} (config/bots/*.yaml)")
    if start:
        from_iso(start)
    if data and not (Path(data) / "candles").is_dir():
        raise ConfigError(f"--data {data} has no folder candles/; name one that has, as `data` of the project")
    folder(record, "--record")
    run_home = Path(home) if home else _fresh_home()
    _room(run_home)
    discord = settings.discord_bot
    with_discord = discord.enabled and bool(discord.token.get_secret_value())
    return FarmOptions(
        bots=names,
        speed=speed,
        bars=bars,
        home=run_home.absolute(),
        seed=seed,
        start=start,
        data=str(Path(data).absolute()) if data else "",
        redis_url=os.environ.get("OMEGA_REDIS_URL", ""),
        extra_env={"OMEGA_RUNNER__RECORD": str(Path(record).absolute())} if record else {},
        services=("discord_bot",) if with_discord else (),
    )


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < 1e6  # noqa: PLR2004 - beyond that a bar is shorter than the clock can tell
    except ValueError:
        return False


def _fresh_home() -> Path:
    """Make a directory for this run; the oldest ones go."""
    runs = Path("var") / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in runs.iterdir() if path.is_dir())[: -KEEP_RUNS or None]:
        shutil.rmtree(old, ignore_errors=True)
    return runs / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")


def _room(home: Path) -> None:
    """Refuse to begin on a disk that is full or read-only.

    Raises:
        EnvironmentFault: less than 200 MB are free, or nothing can be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / ".probe").write_bytes(b"x" * 4096)
        (home / ".probe").unlink()
    except OSError as error:
        raise EnvironmentFault(f"cannot write to {home}: {error.strerror}; free space or name another --home") from None
    free = shutil.disk_usage(home).free // 1_000_000
    if free < LEAST_FREE_MB:
        raise EnvironmentFault(
            f"the disk of {home} has {free} MB left, the farm wants {LEAST_FREE_MB}; free space or name another --home"
        )


async def _run(settings: Settings, options: FarmOptions, show: str) -> dict[str, Any]:
    stop = asyncio.Event()
    async with interrupted(stop):
        if show != _Show.JSON:
            print(f"starting the farm: {', '.join(options.bots)} · logs in {options.home}", file=sys.stderr)
            key, url = (options.home / KILL_KEY_FILE).parent, options.home / KILL_URL_FILE
            switch = f"OMEGA_SECRETS_DIR={key} omega trade kill --url $(cat {url})"
            print(f"to halt it, with or without Redis: {switch}", file=sys.stderr)
            if not options.redis_url:
                door = f"export OMEGA_REDIS_URL=$(cat {options.home / URL_FILE})"
                print(f"for `omega bot` and `omega topics` in another shell: {door}", file=sys.stderr)
        async with Farm(settings, options) as farm:
            work = asyncio.create_task(_replay(farm, stop))
            try:
                await _watch(farm, work, show)
            finally:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
            return await result(farm)


async def _replay(farm: Farm, stop: asyncio.Event) -> None:
    """Return when the wanted bars are through, the recorded market ends, or somebody interrupts."""
    stopped = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_through(farm))
    try:
        done, _ = await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended((stopped, running))
    for task in done:
        task.result()


async def _through(farm: Farm) -> None:
    bars = farm.options.bars
    if farm.conductor:
        await farm.conductor.run(bars or sys.maxsize, lambda _done: None)
        return
    while not bars or max((tally.decisions for tally in farm.observer.bots.values()), default=0) < bars:
        farm.raise_failed()
        await asyncio.sleep(0.1)


async def _watch(farm: Farm, work: asyncio.Task[None], show: str) -> None:
    if show == _Show.TABLE:
        await _table(farm, work)
    elif show == _Show.PLAIN:
        await _lines(farm, work)
    else:
        await work


async def _table(farm: Farm, work: asyncio.Task[None]) -> None:
    from rich.live import Live

    from omega.cli.farm.table import render

    def draw() -> Any:
        return render(farm.observer, farm.processes, title=_title(farm), bus_state=farm.bus.state().value)

    with Live(draw(), refresh_per_second=4, screen=False) as live:
        while not work.done():
            await asyncio.wait({work}, timeout=REDRAW_S)
            farm.raise_failed()
            live.update(draw())
    work.result()


async def _lines(farm: Farm, work: asyncio.Task[None]) -> None:
    from omega.cli.farm.table import plain

    shown: dict[str, str] = {}
    while not work.done():
        await asyncio.wait({work}, timeout=1)
        farm.raise_failed()
        for name in farm.observer.bots:
            line = plain(farm.observer, name)
            if shown.get(name) != line:
                shown[name] = line
                print(line, flush=True)
    work.result()


def _title(farm: Farm) -> str:
    done = max((tally.decisions for tally in farm.observer.bots.values()), default=0)
    speed = "lock-step" if farm.options.speed == LOCKSTEP else f"{farm.options.speed}x"
    of = f" of {farm.options.bars:,}" if farm.options.bars else ""
    return f"Omega Bot Farm · recorded market · {speed} · {done:,}{of} bars · Ctrl-C stops"


def _say_goodbye(outcome: dict[str, Any], home: Path) -> None:
    invariants = outcome["invariants"]
    print(
        f"{outcome['bars']:,} bars, {outcome['orders_total']} orders, {outcome['fills_total']} fills; "
        f"books equal venue: {_yes(invariants['books_equal_venue'])}, "
        f"every position has its stop: {_yes(invariants['every_position_has_stop'])}; logs in {home}",
        file=sys.stderr,
    )


def _yes(value: object) -> str:
    return "yes" if value else "NO"
