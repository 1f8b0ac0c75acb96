"""/help: what the caller may run, as clickable mentions. Found by the command registry."""

from omega.plugins import command, commands
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Tone
from services.discord_bot.tiers import tier

WELCOME = "You have no role in this farm yet; ask an admin for one."


@command(
    "help",
    tier="viewer",
    about="Show the commands that you may use",
    options=(Option("topic", "a command to explain", source="commands"),),
    private=True,
)
async def help_(ask: Ask) -> Card:
    """List the commands of the caller's tier, or explain one."""
    allowed = [entry for entry in commands if tier(entry.tier) <= ask.who.tier]
    if topic := ask.options.get("topic"):
        allowed = [entry for entry in allowed if entry.name == topic.lstrip("/")] or allowed
    lines = [f"{ask.desk.mention(entry.name)} · {entry.meta['about']}" for entry in allowed]
    footer = (
        f"you are {ask.who.tier.word}; {len(commands) - len(allowed)} more commands need a higher tier or another topic"
    )
    return Card("Help", Tone.OK, text="\n".join(lines) or WELCOME, footer=footer)
