"""What the shell offers when somebody presses Tab: names of the configuration and of the registry, and fixed words."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def among(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a completion by fixed words."""
    known = tuple(words)

    def complete(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return complete


def bots(incomplete: str) -> list[str]:
    """Return the configured bots that begin so."""
    from omega.config.loader import load

    return [name for name in sorted(load().settings.bots) if name.startswith(incomplete)]


def bots_and_strategies(incomplete: str) -> list[str]:
    """Return what can be run over history: configured bots, and strategies by name."""
    from omega.plugins import strategies

    return bots(incomplete) + among(strategies.discover())(incomplete)


def symbols(incomplete: str) -> list[str]:
    """Return the gateway's symbols that begin so, in either case."""
    from omega.config.loader import load

    return [name for name in load().settings.gateway.symbols if name.startswith(incomplete.upper())]
