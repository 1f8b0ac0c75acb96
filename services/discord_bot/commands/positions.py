"""/positions: what is open, and whether a stop stands at the venue. Found by the command registry."""

from omega.bus import BookLine
from omega.plugins import command
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Tone
from services.discord_bot.figures import age, price, quantity, table
from services.discord_bot.safe import safe_code


@command(
    "positions",
    tier="viewer",
    about="Show the open positions with their stops",
    options=(Option("bot", "only this bot", source="bots"),),
)
async def positions(ask: Ask) -> Card:
    """List every open book as the gateways see it."""
    accounts = ask.desk.view.accounts
    if not accounts:
        text = f"{ask.desk.banner()}\nNo gateway has been heard of yet.".strip()
        return Card("Positions", Tone.STOPPED, text=text)
    lines = [line for _, line in ask.desk.view.lines() if ask.options.get("bot") in {None, line.bot}]
    naked = [line for line in lines if line.stop_size < abs(line.size)]
    rows = [
        [safe_code(one.bot), f"{one.size:+f}", price(one.entry), f"{_open_pnl(one):+,.2f}", _stop(one)] for one in lines
    ]
    facts = {"positions": str(len(lines)), "naked": str(len(naked))}
    oldest = max(seen.age_s(ask.desk.now_ns) for seen in accounts.values())
    mode = "LIVE" if any(seen.value.mode == "live" for seen in accounts.values()) else "PAPER"
    doubts = [
        f"{name} {symbol}: {quantity(rest)}"
        for name, seen in accounts.items()
        for symbol, rest in seen.value.residuals.items()
        if rest
    ]
    return Card(
        f"{mode} · Positions",
        Tone.DANGER if naked or doubts else Tone.OK,
        voice=ask.voice("report.positions", facts),
        text=ask.desk.banner(),
        table=table(["bot", "size", "entry", "PnL", "stop"], rows) or "nothing is open",
        fields=(("Venue minus books", "\n".join(doubts)),) if doubts else (),
        footer=f"as of {age(oldest)} ago · prices and PnL in USDT",
    )


def _open_pnl(line: BookLine) -> float:
    return float((line.mark - line.entry) * line.size)


def _stop(line: BookLine) -> str:
    if line.stop_size >= abs(line.size):
        return price(line.stop_trigger)
    return "NONE" if not line.stop_size else "PART"
