"""Structured logs with context, levels per module that change while running, secrets removed. Set up by `run`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from omega._structlog import structlog
from omega.domain import iso
from omega.redaction import Redactor

bind_contextvars = structlog.contextvars.bind_contextvars
bound_contextvars = structlog.contextvars.bound_contextvars
clear_contextvars = structlog.contextvars.clear_contextvars
merge_contextvars = structlog.contextvars.merge_contextvars

__all__ = [
    "Levels",
    "bind_contextvars",
    "bound_contextvars",
    "clear_contextvars",
    "configure",
    "configure_quietly",
    "get_logger",
]

Event = MutableMapping[str, Any]

NUMBERS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "exception": 40, "critical": 50}
NOISY = ("asyncio", "aiohttp.access", "ccxt", "discord.http", "discord.gateway", "alembic", "aiosqlite")
"""Foreign loggers that speak from warnings on, unless `log_levels` names them."""


@dataclass(slots=True)
class Levels:
    """The lowest level that is written, for all and by prefix of the logger's name; changed while running."""

    default: int = 20
    modules: dict[str, int] = field(default_factory=dict)
    _known: dict[str, int] = field(default_factory=dict)

    def set(self, default: str, modules: Mapping[str, str]) -> None:
        """Change the levels; the next line obeys."""
        self.default = NUMBERS[default]
        self.modules = {name: NUMBERS[level] for name, level in modules.items()}
        self._known.clear()

    def of(self, name: str) -> int:
        """Return the level of one logger: the longest matching prefix decides."""
        known = self._known.get(name)
        if known is None:
            self._known[name] = known = self._find(name)
        return known

    def _find(self, name: str) -> int:
        matching = [prefix for prefix in self.modules if name == prefix or name.startswith(prefix + ".")]
        if matching:
            return self.modules[max(matching, key=len)]
        noisy = any(name == prefix or name.startswith(prefix + ".") for prefix in NOISY)
        return max(self.default, 30) if noisy else self.default


class LineLogger:
    """Writes finished lines; knows the name of its module for the level filter."""

    def __init__(self, name: str, stream: TextIO | None) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line. A closed or broken stream must not stop a trading process."""
        try:
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = warn = error = exception = critical = fatal = log = msg


def configure(
    *,
    service: str,
    instance: str,
    version: str,
    log_format: str = "json",
    levels: Levels | None = None,
    redactor: Redactor | None = None,
    stream: TextIO | None = None,
) -> Levels:
    """Set up logging for the process and return the levels, which may be changed at any time.

    Args:
        service: bound to every line.
        instance: bound to every line.
        version: bound to every line.
        log_format: `json` or `console`.
        levels: levels to obey; new ones at `info` when absent.
        redactor: removes secrets; the shapes of tokens are always removed.
        stream: where lines go, standard output when absent.
    """
    levels = levels or Levels()
    redactor = redactor or Redactor()
    stream = stream or sys.stdout
    fixed = {"service": service, "instance": instance, "version": version}
    shared = [
        _filter(levels),
        merge_contextvars,
        _stamp(fixed),
        structlog.processors.format_exc_info,
        _redact(redactor),
    ]
    structlog.configure(
        processors=[*shared, _renderer(log_format, stream)],
        wrapper_class=structlog.BoundLogger,
        logger_factory=lambda *names: LineLogger(names[0] if names else "omega", stream),
        cache_logger_on_first_use=False,
    )
    _adopt_stdlib(levels, shared, _renderer(log_format, stream), stream)
    return levels


def configure_quietly() -> None:
    """Let a process without a service, such as a command line, write warnings to standard error and nothing else."""
    levels = Levels(default=NUMBERS["warning"])
    structlog.configure(
        processors=[
            _filter(levels),
            structlog.contextvars.merge_contextvars,
            _stamp({}),
            structlog.processors.format_exc_info,
            _redact(Redactor()),
            structlog.dev.ConsoleRenderer(colors=False, timestamp_key="ts"),
        ],
        wrapper_class=structlog.BoundLogger,
        logger_factory=lambda *names: LineLogger(names[0] if names else "omega", None),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> Any:
    """Name the logger after its module (`__name__`); events are `noun.verb_past`, values are keys."""
    return structlog.get_logger(name)


def _filter(levels: Levels) -> Any:
    def drop_below(logger: Any, method: str, event: Event) -> Event:
        number = NUMBERS.get(method, 20)
        name = getattr(logger, "name", "omega")
        if number < levels.of(name):
            raise structlog.DropEvent
        if method == "exception":
            event.setdefault("exc_info", True)
        event["level"] = "warning" if method == "warn" else "error" if method == "exception" else method
        event["logger"] = name
        return event

    return drop_below


def _stamp(fixed: Mapping[str, str]) -> Any:
    def stamp(_logger: Any, _method: str, event: Event) -> Event:
        head = {"ts": iso(time.time_ns()), "level": event.pop("level"), "event": event.pop("event", "")}
        return {**head, "logger": event.pop("logger"), **fixed, **event}

    return stamp


def _redact(redactor: Redactor) -> Any:
    def redact(_logger: Any, _method: str, event: Event) -> Event:
        return redactor.mapping(event)

    return redact


def _renderer(log_format: str, stream: TextIO) -> Any:
    if log_format == "console":
        return structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="ts")
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


class _StdlibHandler(logging.Handler):
    """Sends lines of foreign libraries through the same filter, redaction and renderer."""

    def __init__(self, shared: list[Any], render: Any, stream: TextIO) -> None:
        super().__init__()
        self._processors = [*shared, render]
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        line = LineLogger(record.name, self._stream)
        event: Any = {"event": record.getMessage()}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        try:
            for processor in self._processors:
                event = processor(line, record.levelname.lower(), event)
        except structlog.DropEvent:
            return
        line.msg(str(event))


def _adopt_stdlib(levels: Levels, shared: list[Any], render: Any, stream: TextIO) -> None:
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if isinstance(handler, _StdlibHandler):
            root.removeHandler(handler)
    root.addHandler(_StdlibHandler(shared, render, stream))
    root.setLevel(min(levels.default, logging.INFO))


if (
    not structlog.is_configured()
):  # structlog's own default prints tracebacks with every local variable, secrets among them
    configure_quietly()
