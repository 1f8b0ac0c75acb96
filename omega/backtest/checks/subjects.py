"""What a check is about: bots of the configuration or strategies by name. Called by `omega check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omega.config import Bot, Settings
from omega.errors import ConfigError
from omega.plugins import StrategyEntry, parse_params, strategies

ALL = "all"


@dataclass(frozen=True, slots=True)
class Subject:
    """One bot to check: its strategy with its parameters, and what it trades."""

    name: str
    plan: Bot
    entry: StrategyEntry
    params: object


def subjects(settings: Settings, text: str, *, symbol: str = "", trading: bool = False) -> list[Subject]:
    """Return the bots that a word means: `all`, or names of bots and strategies, comma separated.

    Args:
        settings: with the configured bots.
        text: what a person wrote. A strategy without a bot is checked with its defaults on the gateway's first symbol.
        symbol: overrides what is traded.
        trading: leave read-only strategies out of `all`, and refuse them by name.

    Raises:
        ConfigError: nothing of that name is there.
    """
    strategies.discover()
    plans = _every(settings) if text == ALL else _named(settings, text)
    found = []
    for name, plan in plans.items():
        own = plan.model_copy(update={"symbol": symbol}) if symbol else plan
        entry = strategies.get(own.strategy)
        if trading and entry.read_only:
            if text == ALL:
                continue
            raise ConfigError(f"{name} only reads ({entry.name}): there is no trade to compare; choose a trading bot")
        found.append(Subject(name, own, entry, parse_params(entry.params, dict(own.params))))
    return found


def apart(chosen: list[Subject]) -> list[list[Subject]]:
    """Return the bots in groups in which every bot has a symbol of its own, each group for one farm.

    Bots on one symbol of one account share a position at the venue: it nets, and stops can stand on the net side
    alone. A back-test knows one bot, so it is compared with a bot that has its symbol to itself.
    """
    groups: list[list[Subject]] = []
    for one in chosen:
        free = (group for group in groups if all(other.plan.symbol != one.plan.symbol for other in group))
        group = next(free, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _every(settings: Settings) -> Mapping[str, Bot]:
    """Return every configured bot, and a bot for every registered strategy that none of them runs."""
    used = {bot.strategy for bot in settings.bots.values()}
    more = {name: _plain(settings, name) for name in strategies.names() if name not in used}
    return dict(settings.bots) | more


def _named(settings: Settings, text: str) -> Mapping[str, Bot]:
    found: dict[str, Bot] = {}
    for name in (part.strip() for part in text.split(",") if part.strip()):
        if name in settings.bots:
            found[name] = settings.bots[name]
            continue
        if name not in strategies:
            raise ConfigError(
                f"there is no bot and no strategy {name!r}: bots are {', '.join(sorted(settings.bots)) or 'none'}, "
                f"strategies {', '.join(strategies.names())}; or write `{ALL}`"
            )
        own = [bot for bot, plan in sorted(settings.bots.items()) if plan.strategy == name]
        found[own[0] if own else _bot_name(name)] = settings.bots[own[0]] if own else _plain(settings, name)
    if not found:
        raise ConfigError(f"name a bot or a strategy, or write `{ALL}`")
    return found


def _plain(settings: Settings, strategy: str) -> Bot:
    return Bot(strategy=strategy, symbol=settings.gateway.symbols[0])


def _bot_name(strategy: str) -> str:
    return strategy.replace("_", "-").replace(" ", "-")
