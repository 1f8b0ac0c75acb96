"""What every command asks before it begins: a number that is one, a place that can be written, a person who agrees.

A wrong word is refused before anything is started, sent or computed.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path

import typer

from omega.errors import ConfigError, EnvironmentFault


def amount(text: str, option: str) -> str:
    """Return a price or a size as it was given; empty stays empty.

    Raises:
        ConfigError: it is no number above zero.
    """
    try:
        fine = not text or (Decimal(text).is_finite() and Decimal(text) > 0)
    except InvalidOperation:
        fine = False
    if not fine:
        raise ConfigError(f"{option} {text!r} is no number above 0; write it as in {option} 0.01")
    return text


def writable(name: str, option: str) -> None:
    """Refuse a file that could not be written when the work is done; nothing is left behind. An empty name is none.

    Raises:
        ConfigError: it is a directory.
        EnvironmentFault: it, or the nearest folder that exists above it, cannot be written.
    """
    if not name:
        return
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"{option} {name} is a directory; name a file in it")
    try:
        if path.exists():
            path.open("ab").close()
        else:
            above = next(place for place in path.absolute().parents if place.exists())
            tempfile.TemporaryFile(dir=above).close()
    except OSError as error:
        raise EnvironmentFault(f"cannot write {option} {name}: {error.strerror}; name another file") from None


def folder(name: str, option: str) -> None:
    """Make the folder that files will be written into; an empty name is none.

    Raises:
        EnvironmentFault: it cannot be made or written.
    """
    if not name:
        return
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=name).close()
    except OSError as error:
        raise EnvironmentFault(f"cannot write into {option} {name}: {error.strerror}; name another folder") from None


def confirm(question: str) -> None:
    """Ask a person on stderr, so that stdout stays the result; a no ends the command with exit code 1.

    Raises:
        ConfigError: nobody is there to answer.
    """
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        raise ConfigError("nobody answered, so nothing was done; give --yes where nobody is asked") from None
    if not agreed:
        typer.echo("nothing was done", err=True)
        raise typer.Exit(1)
