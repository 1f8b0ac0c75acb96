"""One registry for all that is added with one file: strategies, personas, factors, analyses, venues, slash commands.

Plug-in files call the decorators; services, the CLI and the generators call `discover`, `get` and `names`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Generic, Literal, TypeVar

from omega.errors import ConfigError
from omega.params import ParamSpec, describe, json_schema, nearest, param, params, parse_params

__all__ = [
    "AnalysisEntry",
    "CommandEntry",
    "FactorEntry",
    "ParamSpec",
    "PersonaEntry",
    "Registry",
    "StrategyEntry",
    "VenueEntry",
    "analyses",
    "analysis",
    "command",
    "commands",
    "describe",
    "factor",
    "factors",
    "json_schema",
    "param",
    "params",
    "parse_params",
    "persona",
    "personas",
    "strategies",
    "strategy",
    "venue",
    "venues",
]

T = TypeVar("T")
_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C", bound=type)

FactorKind = Literal["calculated", "local", "fetched"]
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_ -]*")


class Registry(Generic[T]):
    """The plug-ins of one kind by name.

    Attributes:
        kind: plural name; third parties add through the entry point group `omega.<kind>`.
        home: the package that `discover` scans when none is named.
    """

    def __init__(self, kind: str, *, home: str) -> None:
        self.kind = kind
        self.home = home
        self._entries: dict[str, T] = {}
        self._places: dict[str, str] = {}

    def register(self, name: str, entry: T, *, where: str) -> None:
        """Add an entry; the same place may register again, as a reload does.

        Raises:
            ConfigError: the name is malformed, or another place has taken it.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{self.kind}: {name!r} at {where} is no name: use a-z, 0-9, _ and -")
        taken = self._places.get(name, where)
        if taken != where:
            raise ConfigError(f"{self.kind}: {name!r} is registered twice, at {taken} and at {where}; rename one")
        self._entries[name] = entry
        self._places[name] = where

    def discover(self, package: str | None = None) -> tuple[str, ...]:
        """Import every module of a package whose name does not start with `_`, then every entry point; list the names.

        Raises:
            ConfigError: a module or an entry point cannot be imported, or an entry point registers nothing.
        """
        home = package or self.home
        found = self._import(home)
        for module in pkgutil.iter_modules(getattr(found, "__path__", [])):
            if not module.name.startswith("_"):
                self._import(f"{home}.{module.name}")
        for point in entry_points(group=f"omega.{self.kind}"):
            self._load(point)
        return self.names()

    def get(self, name: str) -> T:
        """Return the entry of a name.

        Raises:
            ConfigError: there is none; the nearest name is suggested.
        """
        if name not in self._entries:
            known = ", ".join(self.names()) or "none; call discover first"
            hint = nearest(name, self._entries)
            raise ConfigError(f"{self.kind}: there is no {name!r}{hint}; registered are {known}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return every name, sorted."""
        return tuple(sorted(self._entries))

    def where(self, name: str) -> str:
        """Return the module and line that registered a name."""
        self.get(name)
        return self._places[name]

    def __iter__(self) -> Iterator[T]:
        """Iterate over the entries in the order of their names."""
        return iter([self._entries[name] for name in self.names()])

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _import(self, module: str) -> object:
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"{self.kind}: cannot import {module} ({error}); install what it needs or begin its name with _"
            ) from error

    def _load(self, point: EntryPoint) -> None:
        source = f"entry point {point.name!r} ({point.value})"
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{self.kind}: cannot load {source}: {error}; repair or uninstall its package") from error
        if point.name not in self._entries:
            raise ConfigError(f"{self.kind}: {source} registered no {point.name!r}; give both the same name")


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """A registered strategy.

    Attributes:
        signals: the pure function (bars, params) -> Signals.
        params: its `params` class.
        warmup: bars that must lie before the first row that counts, as a function of the parameters; live, `signals` is
            shown twice as many.
        reasons: the words that the reason column of its Signals points into.
        read_only: it never enters; `report` speaks for it.
        book: its report reads the account's book.
        report: (bars, book, params) -> a flat mapping, None for a strategy that trades.
    """

    name: str
    signals: Callable[..., Any]
    params: type
    warmup: Callable[[Any], int]
    reasons: tuple[str, ...]
    read_only: bool
    book: bool
    report: Callable[..., Mapping[str, Any]] | None
    doc: str


@dataclass(frozen=True, slots=True)
class PersonaEntry:
    """A registered voice: its tone, its traits in [0, 1] and its lines by event (one or several to choose from)."""

    name: str
    tone: str
    traits: Mapping[str, float]
    lines: Mapping[str, str | tuple[str, ...]]
    doc: str = ""
    meta: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactorEntry:
    """A registered cosmic factor: one pure function, where its numbers come from and how long they hold.

    Attributes:
        kind: what the function is given beside the instant: the sky's table (calculated), the observer's place (local)
            or what its feed has heard (fetched).
        unit: of the raw quantity.
        span: lowest and highest raw quantity.
        feed: name of the feed of a fetched factor.
    """

    name: str
    function: Callable[..., Any]
    kind: FactorKind
    ttl_s: int
    source: str
    unit: str
    doc: str
    span: tuple[float, float] = (-1.0, 1.0)
    feed: str = ""


@dataclass(frozen=True, slots=True)
class AnalysisEntry:
    """A registered analysis.

    Attributes:
        function: (context, params) -> Analysis; it imports what it computes with when it is called, so that a service
            that only names analyses carries none of it.
        params: its `params` class.
        needs: what it cannot do without: `bars`, `books` (open positions), `trades` (the ledger's round trips) or
            `ticks` (a recorded order book).
        uses: what it says more with, where it is there.
        least: bars that it wants at least.
    """

    name: str
    title: str
    function: Callable[..., Any]
    params: type
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    least: int
    doc: str


@dataclass(frozen=True, slots=True)
class VenueEntry:
    """A registered exchange adapter and what it declares about itself."""

    name: str
    adapter: type
    meta: Mapping[str, object]
    doc: str


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A registered slash command: its area, who may call it, how soon it answers, and its handler."""

    name: str
    area: str
    handler: Callable[..., Any]
    tier: str
    latency: str
    doc: str
    meta: Mapping[str, object]


strategies: Final[Registry[StrategyEntry]] = Registry("strategies", home="bots")
personas: Final[Registry[PersonaEntry]] = Registry("personas", home="personas")
analyses: Final[Registry[AnalysisEntry]] = Registry("analyses", home="omega.analytics.analyses")
factors: Final[Registry[FactorEntry]] = Registry("factors", home="services.cosmic.factors")
venues: Final[Registry[VenueEntry]] = Registry("venues", home="services.gateway.venues")
commands: Final[Registry[CommandEntry]] = Registry("commands", home="services.discord_bot.commands")


def strategy(
    name: str,
    *,
    params: type,
    warmup: Callable[[Any], int] | int,
    reasons: tuple[str, ...],
    read_only: bool = False,
    book: bool = False,
    report: Callable[..., Mapping[str, Any]] | None = None,
) -> Callable[[_F], _F]:
    """Register a pure `signals(bars, params) -> Signals` under a name.

    Raises:
        ConfigError: the name is taken, `params` declares nothing, or a read-only strategy has no report.
    """
    where = _caller()
    describe(params)
    if read_only and report is None:
        raise ConfigError(f"{name!r} at {where} is read-only and has no report: pass report=...")
    need = warmup if callable(warmup) else _constant(warmup)

    def add(function: _F) -> _F:
        entry = StrategyEntry(name, function, params, need, reasons, read_only, book, report, _doc(function))
        strategies.register(name, entry, where=where)
        return function

    return add


def persona(
    name: str,
    *,
    tone: str,
    traits: Mapping[str, float],
    lines: Mapping[str, str | tuple[str, ...]],
    doc: str = "",
    **meta: object,
) -> PersonaEntry:
    """Register a voice by a plain call, and return its entry."""
    entry = PersonaEntry(name, tone, dict(traits), dict(lines), doc, meta)
    personas.register(name, entry, where=_caller())
    return entry


def factor(
    name: str,
    *,
    kind: FactorKind,
    ttl_s: int,
    source: str,
    unit: str,
    span: tuple[float, float] = (-1.0, 1.0),
    feed: str = "",
) -> Callable[[_F], _F]:
    """Register a cosmic factor: one pure function that returns a reading.

    Raises:
        ConfigError: the name is taken, or a fetched factor names no feed.
    """
    where = _caller()
    if (kind == "fetched") is not bool(feed):
        raise ConfigError(f"{name!r} at {where}: a fetched factor names its feed with feed=..., and no other kind does")

    def add(function: _F) -> _F:
        entry = FactorEntry(name, function, kind, ttl_s, source, unit, _doc(function), span, feed)
        factors.register(name, entry, where=where)
        return function

    return add


def analysis(
    name: str,
    *,
    title: str,
    params: type,
    needs: tuple[str, ...] = ("bars",),
    uses: tuple[str, ...] = (),
    least: int = 100,
) -> Callable[[_F], _F]:
    """Register an analysis: one pure function (context, params) -> Analysis.

    Raises:
        ConfigError: the name is taken, or `params` declares nothing.
    """
    where = _caller()
    describe(params)

    def add(function: _F) -> _F:
        entry = AnalysisEntry(name, title, function, params, needs, uses, least, _doc(function))
        analyses.register(name, entry, where=where)
        return function

    return add


def venue(name: str, **meta: object) -> Callable[[_C], _C]:
    """Register an exchange adapter class with what it declares about itself."""
    where = _caller()

    def add(adapter: _C) -> _C:
        venues.register(name, VenueEntry(name, adapter, meta, _doc(adapter)), where=where)
        return adapter

    return add


def command(
    area: str, *, name: str = "", tier: str = "viewer", latency: str = "local", **meta: object
) -> Callable[[_F], _F]:
    """Register the handler of a slash command; without a name the command is called like its area."""
    where = _caller()

    def add(handler: _F) -> _F:
        entry = CommandEntry(name or area, area, handler, tier, latency, _doc(handler), meta)
        commands.register(entry.name, entry, where=where)
        return handler

    return add


def _caller() -> str:
    """Return module and line of the code that called a decorator of this file."""
    frame = sys._getframe(2)  # noqa: SLF001 - the one way to name a place without reading source files
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno}"


def _constant(bars: int) -> Callable[[Any], int]:
    return lambda _: bars


def _doc(plugin: Callable[..., Any]) -> str:
    """Return the first line of the module's docstring: in a one-file plug-in it describes the plug-in."""
    module = sys.modules.get(plugin.__module__)
    text = (module.__doc__ if module else None) or plugin.__doc__ or ""
    return text.strip().split("\n", 1)[0]
