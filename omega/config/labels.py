"""Which bots a label selector means: `family=trend,symbol!=BTC-USDT.P`. Used wherever people name several bots.

A bot has the labels of its own settings and the built-in ones: bot, strategy, symbol, mode, timeframe, account, venue.
"""

from __future__ import annotations

from omega.config.models import Settings
from omega.errors import ConfigError


def labels_of(settings: Settings, bot: str) -> dict[str, str]:
    """Return the labels of a bot; a built-in one is never covered by the bot's own."""
    plan, trading = settings.bots[bot], settings.trading
    built_in = {
        "bot": bot,
        "strategy": plan.strategy,
        "symbol": plan.symbol,
        "mode": (plan.mode or trading.mode).value,
        "timeframe": plan.timeframe or trading.timeframe,
        "account": trading.account,
        "venue": trading.venue,
    }
    return {**plan.labels, **built_in}


def select(settings: Settings, selector: str) -> list[str]:
    """Return the enabled bots that meet every term of a selector (`k=v`, `k!=v`, `k`, `!k`), by name.

    Raises:
        ConfigError: the selector is empty or no bot meets it.
    """
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise ConfigError("the selector is empty; write for example -l family=trend,symbol=BTC-USDT.P")
    enabled = [name for name in sorted(settings.bots) if settings.bots[name].enabled]
    found = [name for name in enabled if all(_meets(labels_of(settings, name), term) for term in terms)]
    if not found:
        known = sorted({f"{key}={value}" for name in enabled for key, value in labels_of(settings, name).items()})
        raise ConfigError(f"no enabled bot meets {selector!r}; their labels are {', '.join(known)}")
    return found


def _meets(labels: dict[str, str], term: str) -> bool:
    if "=" not in term:
        return term[1:] not in labels if term.startswith("!") else term in labels
    key, _, value = term.partition("=")
    if key.endswith("!"):
        return labels.get(key[:-1].strip()) != value.strip()
    return labels.get(key.strip()) == value.removeprefix("=").strip()
