"""ccxt without its two hundred other exchanges: a third of the memory and a fraction of the start.

Called by `__main__` alone. ccxt's packages import every exchange when they are imported. Empty packages of the same
names, with the real search paths, let one exchange be imported by itself; the code that runs is ccxt's, unmodified. A
test fails when ccxt's layout moves.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

from omega.errors import ConfigError

PACKAGES: Final = ("ccxt", "ccxt.async_support", "ccxt.pro")
_BASES: Final = {"ccxt": "ccxt.base.exchange", "ccxt.async_support": "ccxt.async_support.base.exchange"}


def use_lean_ccxt() -> None:
    """Put empty packages in ccxt's place; nothing happens when ccxt was imported before.

    Raises:
        ConfigError: ccxt is not installed.
    """
    if "ccxt" in sys.modules:
        return
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ConfigError("ccxt is not installed; install the gateway extra: pip install 'omega-bot-farm[gateway]'")
        package = ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
    _fill(sys.modules["ccxt"], "ccxt.base.errors")
    for name, base in _BASES.items():
        _fill(sys.modules[name], base)


def exchange_class(exchange_id: str) -> Any:
    """Return ccxt.pro's class of an exchange, imported alone where the packages are empty.

    Raises:
        ConfigError: ccxt knows no such exchange.
    """
    import ccxt.pro as ccxtpro

    found = getattr(ccxtpro, exchange_id, None)
    if isinstance(found, type):
        return found
    try:
        rest = getattr(importlib.import_module(f"ccxt.async_support.{exchange_id}"), exchange_id)
        setattr(sys.modules["ccxt.async_support"], exchange_id, rest)
        return getattr(importlib.import_module(f"ccxt.pro.{exchange_id}"), exchange_id)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"ccxt has no exchange {exchange_id!r} with WebSockets: {error}") from error


def _fill(package: ModuleType, source: str) -> None:
    """Give an empty package the names that ccxt's own code imports from it."""
    module = importlib.import_module(source)
    for name in dir(module):
        if not name.startswith("_"):
            setattr(package, name, getattr(module, name))
