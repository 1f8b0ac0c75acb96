"""The composition root's helper: settings, logging, bus, service, event loop, exit code. Called by every `__main__`."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import metadata
from typing import Any, NoReturn

from omega.bus.port import Bus
from omega.config import Settings
from omega.config.loader import Loaded, load
from omega.config.reload import Reloader
from omega.errors import ConfigError, OmegaError
from omega.runtime.process import freeze
from omega.runtime.service import BaseService
from omega.telemetry import Levels, Redactor, bind_contextvars, configure, get_logger

logger = get_logger(__name__)

ServiceFactory = Callable[[Settings, Bus], BaseService]
FINE, BROKEN = 0, 1


def run(
    service_factory: ServiceFactory,
    *,
    name: str,
    argv: Sequence[str] | None = None,
    overrides: Mapping[str, str] | None = None,
    fast_loop: bool = True,
    needs_redis: bool = True,
) -> NoReturn:
    """Load the settings, connect the bus, run the service, and exit with the code of what happened.

    Args:
        service_factory: makes the service from settings and bus.
        name: the service's name, also when settings are refused before it exists.
        argv: `--env`, `--config-dir` and `--set PATH=VALUE` are understood; the process's own when absent.
        overrides: settings by dotted path from arguments of the service's own; they come before `--set`.
        fast_loop: use uvloop when it is installed.
        needs_redis: False for a service that also works alone: it gets a bus in memory unless a Redis URL is set.
    """
    redactor = Redactor()
    try:
        arguments = _arguments(name, argv)
        wanted = {**(overrides or {}), **_pairs(arguments.set)}
        loaded = load(config_dir=arguments.config_dir, env=arguments.env, overrides=wanted, service=name)
        redactor.learn(loaded.settings)
        levels = set_up_logging(loaded, name=name, redactor=redactor)
        bus_is_real = needs_redis or "redis.url" in loaded.provenance
        _drive(_live(service_factory, name, loaded, levels, bus_is_real=bus_is_real), fast_loop=fast_loop)
    except OmegaError as error:
        print(f"{name}: {redactor.text(str(error))}", file=sys.stderr, flush=True)  # noqa: T201 - the last words of a process
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(FINE)
    sys.exit(FINE)


def exit_code(error: BaseException) -> int:
    """Return what a process exits with: 0 fine, 1 a finding, 2 usage, 3 environment."""
    return error.exit_code if isinstance(error, OmegaError) else BROKEN


def instance_of(settings: Settings, name: str) -> str:
    """Return the name of this process among its equals."""
    return settings.environment.instance or f"{name}-{os.getpid()}"


def connect_bus(settings: Settings, *, source: str) -> Bus:
    """Build the bus that the settings describe; `await bus.start()` connects it."""
    from omega.bus import connect

    return connect(settings.redis, env=settings.environment.name.value, source=source)


def memory_bus(settings: Settings, *, source: str) -> Bus:
    """Build a bus that ends inside this process."""
    from omega.bus import MemoryBus

    return MemoryBus(env=settings.environment.name.value, source=source)


def version() -> str:
    """Return the version of the installed distribution."""
    try:
        text = metadata.distribution("omega-bot-farm").read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return "0"
    # Its `version` has the whole file parsed as an e-mail, README and all, at every start of every process.
    found = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return found[1] if found else "0"


def set_up_logging(loaded: Loaded, *, name: str, redactor: Redactor) -> Levels:
    """Set up the logs of this process from its settings and return the levels."""
    monitoring = loaded.settings.monitoring
    levels = configure(
        service=name,
        instance=instance_of(loaded.settings, name),
        version=version(),
        log_format=monitoring.log_format.value,
        redactor=redactor,
    )
    levels.set(monitoring.log_level, monitoring.log_levels)
    bind_contextvars(venue=loaded.settings.trading.venue)
    if name == "runner" and loaded.settings.runner.bot:
        bind_contextvars(bot=loaded.settings.runner.bot)
    for warning in loaded.warnings:
        logger.warning("config.warned", warning=warning)
    return levels


async def _live(
    service_factory: ServiceFactory, name: str, loaded: Loaded, levels: Levels, *, bus_is_real: bool
) -> None:
    settings = loaded.settings
    source = f"{name}/{instance_of(settings, name)}"
    bus = connect_bus(settings, source=source) if bus_is_real else memory_bus(settings, source=source)
    service = service_factory(settings, bus)
    if not isinstance(service, BaseService):
        raise ConfigError(
            f"{name} is made of {type(service).__name__}, which is no BaseService: derive it from that class"
        )
    service.levels = levels
    service.metrics.gauge("service_info").labels(name, service.instance, version()).set(1)
    service.watch_config(Reloader(loaded))
    # What was loaded until now lives as long as the process: the collector need not look at it again, nor once more now
    # (it finds nothing, in 40 ms of every start).
    freeze()
    await service.run()


def _drive(main: Coroutine[Any, Any, None], *, fast_loop: bool) -> None:
    with asyncio.Runner(loop_factory=_uvloop() if fast_loop else None) as runner:
        runner.run(main)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _arguments(name: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}", description=f"Run the {name} service.")
    parser.add_argument("--env", help="dev, paper or live (OMEGA_ENV)")
    parser.add_argument("--config-dir", help="directory of base.yaml (OMEGA_CONFIG_DIR)")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="one setting by dotted path")
    return parser.parse_args(argv)


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {text} has no value: write --set section.field=value")
        pairs[path] = value
    return pairs
