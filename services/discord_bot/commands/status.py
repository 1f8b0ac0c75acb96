"""/status: how the farm, or one bot, is doing. Found by the command registry."""

from decimal import Decimal

from omega.bus import BotStatus
from omega.plugins import command
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Tone
from services.discord_bot.figures import age, money, price, quantity, table
from services.discord_bot.safe import safe, safe_code
from services.discord_bot.view import Seen

ZERO = Decimal(0)


@command(
    "status",
    tier="viewer",
    about="Show how the farm or one bot is doing",
    options=(Option("bot", "one bot in detail", source="bots"),),
)
async def status(ask: Ask) -> Card:
    """Show all bots with their position and result, or one in detail."""
    if name := ask.options.get("bot"):
        return _one(ask, name)
    view = ask.desk.view
    seen = [view.bots[name] for name in sorted(view.bots)]
    if not seen:
        return Card("Farm", Tone.STOPPED, text=f"{ask.desk.banner()}\nNo bot has been heard of yet.".strip())
    total = sum((_pnl(one.value) for one in seen), ZERO)
    trading = sum(one.value.state == "trade" and not one.value.read_only for one in seen)
    rows = [
        [safe_code(s.value.bot), _word(s.value), quantity(s.value.position), f"{_pnl(s.value):+,.2f}"] for s in seen
    ]
    facts = {"bots": str(len(seen)), "trading": str(trading), "pnl": money(total)}
    halts = [f"{name}: {safe(one.value.halt_reason)}" for name, one in view.accounts.items() if one.value.halted]
    return Card(
        f"{_mode(seen)} · Farm",
        Tone.DANGER if halts else Tone.OK if trading else Tone.STOPPED,
        voice=ask.voice("report.status", facts),
        text=ask.desk.banner(),
        table=table(["bot", "state", "position", "PnL"], rows),
        fields=(("Entries halted", "\n".join(halts)),) if halts else (),
        footer=_as_of(ask, seen),
    )


def _one(ask: Ask, name: str) -> Card:
    seen = ask.desk.view.bots.get(name)
    if seen is None:
        return Card(
            "Unknown bot", Tone.WARN, text=f"E-ARG `bot`: nothing is heard of a bot called {safe(name)}.", public=False
        )
    bot, decision = seen.value, ask.desk.view.decisions.get(name)
    stop = next((one for _, one in ask.desk.view.lines() if one.bot == name), None)
    why = f"{safe(bot.last_action)} ({safe(bot.reason)})" if bot.last_action else "-"
    fields = (
        ("State", f"{_word(bot)}, {bot.mode}"),
        ("Symbol", f"{safe(bot.symbol)} {safe(bot.timeframe)}"),
        ("Position", f"{quantity(bot.position)} @ {price(bot.entry)}"),
        ("Stop at venue", f"{quantity(stop.stop_size)} @ {price(stop.stop_trigger)}" if stop else "-"),
        ("Result", f"{money(_pnl(bot))} (realised {money(bot.realised)}, fees {price(bot.fees)})"),
        ("Last decision", f"{why}, {age(decision.age_s(ask.desk.now_ns))} ago" if decision else why),
        ("Counts", f"{bot.decisions} decisions, {bot.intents} intents, {bot.fills} fills"),
    )
    return Card(
        f"{_mode([seen])} · {safe(name)}",
        Tone.OK if bot.state == "trade" else Tone.STOPPED,
        text=f"{ask.desk.banner()}\nStrategy {safe(bot.strategy)}".strip(),
        fields=fields,
        footer=_as_of(ask, [seen]),
    )


def _pnl(bot: BotStatus) -> Decimal:
    return bot.realised + bot.unrealised - bot.fees


def _word(bot: BotStatus) -> str:
    return "watch" if bot.read_only else safe_code(bot.state)


def _mode(seen: list[Seen[BotStatus]]) -> str:
    return "LIVE" if any(one.value.mode == "live" for one in seen) else "PAPER"


def _as_of(ask: Ask, seen: list[Seen[BotStatus]]) -> str:
    oldest = max(one.age_s(ask.desk.now_ns) for one in seen)
    return f"as of {age(oldest)} ago · PnL after fees in USDT"
