"""File names of candles: `SYMBOL[_MARKET]-TIMEFRAME.parquet|csv`, found in a folder. Used by readers and the CLI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omega.domain.time import timeframe_ns
from omega.errors import ConfigError

SUFFIXES: Final = (".parquet", ".csv")
_STEM: Final = re.compile(r"(?P<symbol>.+)-(?P<timeframe>[1-9]\d*[mhdw])")
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:]*")


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A candle file by its name.

    Units: timeframe_ns in ns, 0 when the name tells none.
    """

    path: Path
    symbol: str
    timeframe_ns: int


def named(path: Path) -> NamedFile:
    """Read symbol and timeframe from a file's name; without a timeframe the whole stem is the symbol."""
    found = _STEM.fullmatch(path.stem)
    if found is None:
        return NamedFile(path, path.stem, 0)
    return NamedFile(path, found["symbol"], timeframe_ns(found["timeframe"]))


def candle_files(folder: Path) -> list[NamedFile]:
    """List the candle files of a folder, by name; a file without a timeframe in its name is none."""
    found = (named(path) for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES and path.is_file())
    return [item for item in found if item.timeframe_ns]


def plain_name(kind: str, text: str) -> str:
    """Return a venue or symbol that may become a folder's name.

    Raises:
        ConfigError: it is empty, or holds a character that a path could mistake.
    """
    if not _PLAIN.fullmatch(text):
        raise ConfigError(f"{text!r} is no {kind}: use letters, digits, dot, colon and underscore, as in BTCUSDT_PERP")
    return text


def match_symbol(symbol: str, known: set[str], where: str) -> str:
    """Return the one recorded symbol that is meant: the very name, else the only market of it (`SYMBOL_PERP`).

    Raises:
        ConfigError: none is recorded, or several markets are.
    """
    if symbol in known:
        return symbol
    if not symbol:
        if len(known) == 1:
            return next(iter(known))
        raise ConfigError(f"name the symbol: {where} holds {', '.join(sorted(known)) or 'none at all'}")
    markets = sorted(name for name in known if name.startswith(f"{symbol}_"))
    if len(markets) == 1:
        return markets[0]
    if markets:
        raise ConfigError(f"{symbol} is recorded as {', '.join(markets)} in {where}: name the one you mean")
    raise ConfigError(f"no candles of {symbol} in {where}: there are {', '.join(sorted(known)) or 'none at all'}")
