"""The command tree of `omega` and the one place where errors become exit codes. Called by the console script."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import typer

from omega import __version__
from omega._structlog import structlog
from omega.errors import EnvironmentFault, OmegaError


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command is written: a function, or with words of its own a group of commands."""

    module: str
    attribute: str
    group: str = ""


COMMANDS: Final = {
    "up": _Command("omega.cli.up", "up"),
    "bot": _Command("omega.cli.bots", "app", "List, pause, resume, drain, stop or flatten bots of a running farm."),
    "risk": _Command(
        "omega.cli.risk", "app", "Look at limits and headroom, ask what-if, halt, release, change a limit."
    ),
    "trade": _Command(
        "omega.cli.trade",
        "app",
        "Compare books and venue, adopt strange positions, see the budget, kill.",
    ),
    "topics": _Command("omega.cli.topics", "app", "Look into the bus: list, tail, replay dead letters, check."),
    "config": _Command("omega.cli.config", "app", "Check, show and describe the configuration; secrets are masked."),
    "new": _Command("omega.cli.new", "app", "Write a working plug-in file with its test."),
    "analyze": _Command("omega.cli.analyze", "analyze"),
    "backtest": _Command("omega.cli.backtest", "backtest"),
    "sweep": _Command("omega.cli.sweep", "sweep"),
    "check": _Command(
        "omega.cli.check", "app", "Look for look-ahead, too short warm-ups, and differences between history and farm."
    ),
    "chaos": _Command(
        "omega.cli.chaos", "app", "Break a farm of its own by a seed, and judge it by the venue's truth."
    ),
    "replay": _Command("omega.cli.replay", "replay"),
    "experiment": _Command(
        "omega.cli.experiment",
        "app",
        "Test a hypothesis honestly: arms, placebos, and a verdict that counts every trial.",
    ),
    "data": _Command("omega.cli.data", "app", "Import, check, resample, list and fetch recorded candles."),
    "audit": _Command("omega.cli.audit", "app", "Prove that no record was changed; export the head of the chain."),
    "ledger": _Command(
        "omega.cli.ledger", "app", "Check the books, fold them again, archive months and bring them back."
    ),
    "cosmic": _Command(
        "omega.cli.cosmic", "app", "Read the sky and the factors made of it; unproven, off by default, no farm needed."
    ),
    "why": _Command("omega.cli.why", "why"),
    "dr": _Command("omega.cli.dr", "app", "Back up, restore, and drill the recovery."),
    "doctor": _Command("omega.cli.doctor", "doctor"),
}


def build(only: str = "") -> typer.Typer:
    """Return the command tree, or the part of it that one command needs: a command pays for its own imports alone."""
    app = typer.Typer(
        name="omega",
        help="A farm of crypto trading bots: paper by default, one gateway to money, every step a message.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_root)
    for name, command in COMMANDS.items():
        if only in {"", name}:
            module = importlib.import_module(command.module)
            found = getattr(module, command.attribute)
            if command.group:
                app.add_typer(found, name=name, help=command.group)
            else:
                app.command(name, epilog=module.EXAMPLES)(found)
    return app


def tree(only: str = "") -> Any:
    """Return the commands as they are run, with a help that does not let a switch look as if it took a value."""
    root = typer.main.get_command(build(only))
    _plain_switches(root)
    return root


def _plain_switches(command: Any) -> None:
    for option in command.get_params(typer.Context(command)):
        if getattr(option, "is_flag", False) and option.metavar is None:
            option.metavar = ""
    for child in getattr(command, "commands", {}).values():
        _plain_switches(child)


def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"omega {__version__}")
        raise typer.Exit


def _asked() -> str:
    """Return the command that the arguments name, empty when all of them are wanted: for help and completion."""
    words = sys.argv
    if "_OMEGA_COMPLETE" in os.environ:  # the line that a shell asks about: bash names it in one way, others in another
        words = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    return words[1] if len(words) > 1 and words[1] in COMMANDS else ""


def _quiet() -> None:
    """Send what the library logs to stderr, warnings and worse only: stdout is for results."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _nobody_reads() -> NoReturn:
    """End well: whoever read our output, such as `head`, has had enough of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)


def main() -> None:
    """Run the command line; every error of the farm ends as one paragraph on stderr and its exit code."""
    _quiet()
    try:
        tree(_asked())()
    except OmegaError as error:
        print(f"omega: {type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"omega", "services", "bots", "personas", ""}:
            raise
        print(
            f"omega: EnvironmentFault: this command needs the package {missing}, which is not installed here; run "
            "`make setup` in the project, or install omega-bot-farm[local,research]",
            file=sys.stderr,
        )
        raise SystemExit(EnvironmentFault.exit_code) from None
    except BrokenPipeError:
        _nobody_reads()
    except OSError as error:
        if error.errno is None:  # a time that ran out, and no word of the system's: that is ours to mend
            raise
        what = (
            f"{error.strerror}: {error.filename}; check that it is there and may be written"
            if error.filename
            else f"the system says: {error.strerror}; check what the command reaches for"
        )
        print(f"omega: EnvironmentFault: {what}, and that the disk has room", file=sys.stderr)
        raise SystemExit(EnvironmentFault.exit_code) from None
    except SystemExit as end:  # the command library has caught it first, and calls it a failure
        if isinstance(end.__context__, BrokenPipeError):
            _nobody_reads()
        raise
