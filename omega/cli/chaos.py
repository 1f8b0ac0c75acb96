"""`omega chaos`: the fault lab. Kills, cuts and lies to a farm of its own, by a seed, and judges what is left."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from omega.errors import ConfigError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

_LIST_EXAMPLES = """
**Examples**

`omega chaos list` · what can be run, what can go wrong, what can be switched off
"""
_RUN_EXAMPLES = """
**Examples**

`omega chaos run random --seed 7` · ten faults of any kind against a farm of its own

`omega chaos run order-path --seed 3 --faults 8 --json` · kill -9 at every point of the order path, one JSON object

`omega chaos run random --seeds 1:50 --out var/chaos` · fifty seeds; run it again and it goes on where it was

`omega chaos run ambiguous --without look-up` · the same farm with one guard taken out: the lab must find it (exit 1)
"""


@app.command("list", epilog=_LIST_EXAMPLES)
def list_scenarios(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """List the scenarios, the kinds of fault and the guards that can be switched off."""
    from omega.chaos.faults import FAULTS
    from omega.chaos.guards import GUARDS
    from omega.chaos.scenarios import SCENARIOS

    if as_json:
        told = {
            "scenarios": [
                {"name": row.name, "about": row.about, "stakes": list(row.stakes)} for row in SCENARIOS.values()
            ],
            "faults": [{"kind": kind.value, "about": spec.about} for kind, spec in FAULTS.items()],
            "guards": [
                {"name": row.name, "about": row.about, "without": row.without, "scenario": row.scenario}
                for row in GUARDS.values()
            ],
        }
        print(json.dumps(told, indent=2))
        return
    print("scenarios (omega chaos run NAME)")
    for row in SCENARIOS.values():
        print(f"  {row.name:<12} {row.about}; at stake: {', '.join(row.stakes)}")
    print("\nfaults")
    for kind, spec in FAULTS.items():
        print(f"  {kind.value:<16} {spec.about}")
    print("\nguards (--without NAME)")
    for guard in GUARDS.values():
        print(f"  {guard.name:<12} {guard.about}; without: {guard.without}; shown by: {guard.scenario}")


@app.command("run", epilog=_RUN_EXAMPLES)
def run(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, see `omega chaos list`.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the schedule: the same seed, the same faults.")] = 1,
    seeds: Annotated[str, typer.Option(help="Several seeds as FIRST:LAST, both included; --seed is ignored.")] = "",
    faults: Annotated[int, typer.Option(min=0, help="Faults a seed.")] = 10,
    minutes: Annotated[
        float, typer.Option(min=0, help="Begin no fault of a seed after so many minutes; 0 = do all of them.")
    ] = 0,
    without: Annotated[str, typer.Option(help="Guards to switch off in the child processes, comma separated.")] = "",
    tight: Annotated[
        bool, typer.Option("--tight", help="An account limit that binds; the scenario crowd always has it.")
    ] = False,
    out: Annotated[
        str, typer.Option(help="Folder that keeps the result of every seed; seeds that are there are not run again.")
    ] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the logs and databases of seeds without a finding.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """Run a farm of processes under the scenario's faults and check every invariant against the venue's own truth.

    Exit code 1 when an invariant broke; the seed that it names runs the same schedule again.
    """
    from omega.chaos.report import merge, table

    wanted = _seeds(seeds) if seeds else [seed]
    folder = Path(out or "var/chaos")
    options = _Chosen(scenario, faults, minutes, tuple(filter(None, without.split(","))), tight, keep=keep)
    options.check()
    results = [_one(options, number, folder, resume=bool(out), quiet=as_json) for number in _shown(wanted)]
    told = merge(results)
    if as_json:
        print(json.dumps(told if seeds else results[0], indent=2))
    else:
        print(table(told))
    if told["violations"]:
        raise typer.Exit(1)


class _Chosen:
    """What all seeds of one call have in common."""

    def __init__(
        self, scenario: str, faults: int, minutes: float, without: tuple[str, ...], tight: bool, *, keep: bool
    ) -> None:
        self.scenario, self.faults, self.minutes, self.without = scenario, faults, minutes, without
        self.tight, self.keep = tight, keep

    def check(self) -> None:
        """Refuse names that do not exist.

        Raises:
            ConfigError: no such scenario or guard.
        """
        from omega.chaos.guards import GUARDS
        from omega.chaos.scenarios import SCENARIOS

        if self.scenario not in SCENARIOS:
            raise ConfigError(f"no scenario {self.scenario!r}: choose from {', '.join(SCENARIOS)}")
        if unknown := set(self.without) - set(GUARDS):
            raise ConfigError(f"no guard {', '.join(sorted(unknown))}: choose from {', '.join(GUARDS)}")

    def binds(self, seed: int) -> bool:
        """Tell whether the account's limit shall bind in a seed: in `random` every second one."""
        return self.tight or self.scenario == "crowd" or (self.scenario == "random" and seed % 2 == 0)

    def name(self, seed: int) -> str:
        """Return what the result of a seed is kept under: another question has another name."""
        without = ("without", *self.without) if self.without else ()
        return "-".join((self.scenario, str(self.faults), *without, *(("tight",) if self.tight else ()), str(seed)))


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition(":")
    if not (first.isdigit() and (last.isdigit() or not last)) or (last and int(last) < int(first)):
        raise ConfigError(f"--seeds {text!r} is not FIRST:LAST, as in 1:50")
    return list(range(int(first), int(last or first) + 1))


def _shown(seeds: list[int]) -> Any:
    """Show a bar over many seeds where somebody looks."""
    if len(seeds) == 1 or not sys.stderr.isatty():
        return seeds
    from rich.console import Console
    from rich.progress import track

    return track(seeds, description="seeds", console=Console(stderr=True))


def _one(chosen: _Chosen, seed: int, folder: Path, *, resume: bool, quiet: bool) -> dict[str, Any]:
    from omega.chaos.lab import LabOptions, run_seed
    from omega.chaos.scenarios import SCENARIOS

    kept = folder / f"{chosen.name(seed)}.json"
    if resume and kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    home = (folder / chosen.name(seed)).absolute()
    shutil.rmtree(home, ignore_errors=True)
    options = LabOptions(
        scenario=SCENARIOS[chosen.scenario],
        seed=seed,
        home=home,
        faults=chosen.faults,
        minutes=chosen.minutes,
        without=chosen.without,
        tight=chosen.binds(seed),
    )

    def say(line: str) -> None:
        if not quiet:
            print(f"seed {seed}: {line}", file=sys.stderr, flush=True)

    result = asyncio.run(run_seed(options, say))
    kept.write_text(json.dumps(result, indent=2), encoding="utf-8")
    if not result["violations"] and not chosen.keep:
        shutil.rmtree(home, ignore_errors=True)
    return result
