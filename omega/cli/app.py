"""The command tree of `omega` and the one place where errors become exit codes. Called by the console script."""

from __future__ import annotations

import logging
import os
import sys

import structlog
import typer

from omega import __version__
from omega.cli import bots, config, doctor, new, topics, up
from omega.errors import OmegaError

app = typer.Typer(
    name="omega",
    help="A farm of crypto trading bots: paper by default, one gateway to money, every step a message.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("up", epilog=up.EXAMPLES)(up.up)
app.add_typer(topics.app, name="topics", help="Look into the bus: list, tail, replay dead letters, check.")
app.add_typer(config.app, name="config", help="Check, show and describe the configuration; secrets are masked.")
app.add_typer(new.app, name="new", help="Write a working plug-in file with its test.")
app.add_typer(bots.app, name="bot", help="List, pause, resume, drain, stop or flatten bots of a running farm.")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"omega {__version__}")
        raise typer.Exit


def _quiet() -> None:
    """Send what the library logs to stderr, warnings and worse only: stdout is for results."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command line; every error of the farm ends as one paragraph on stderr and its exit code."""
    _quiet()
    try:
        app()
    except OmegaError as error:
        print(f"omega: {type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
