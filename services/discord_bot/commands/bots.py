"""/bots list|pause|resume: who runs, and who may enter. Found by the command registry."""

from omega.bus import BusState, Verb
from omega.errors import ConfigError, Denied
from omega.plugins import command
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Confirm, Tone
from services.discord_bot.figures import age, quantity, table
from services.discord_bot.progress import carry_out
from services.discord_bot.safe import safe, safe_code

_BOT = Option("bot", "which bot", source="bots", required=True)


@command(
    "bots",
    name="bots list",
    tier="viewer",
    about="List the bots with their state and the age of their last sign",
    options=(Option("state", "only bots in this state", choices=("all", "trade", "pause", "drain", "watch")),),
)
async def bots_list(ask: Ask) -> Card:
    """List every bot that is configured or heard of."""
    wanted, view = ask.options.get("state", "all"), ask.desk.view
    rows = []
    for name in ask.desk.bots():
        seen = view.bots.get(name)
        state = "silent" if seen is None else "watch" if seen.value.read_only else safe_code(seen.value.state)
        if wanted in {"all", state}:
            sign = "-" if seen is None else age(seen.age_s(ask.desk.now_ns))
            rows.append([safe_code(name), state, "-" if seen is None else quantity(seen.value.position), sign])
    text = f"{ask.desk.banner()}\nPause with {ask.desk.mention('bots pause')}.".strip()
    oldest = max((seen.age_s(ask.desk.now_ns) for seen in view.bots.values()), default=0.0)
    return Card(
        "Bots",
        Tone.OK if rows else Tone.STOPPED,
        text=text,
        table=table(["bot", "state", "position", "sign"], rows) or "none",
        footer=f"as of {age(oldest)} ago",
    )


@command(
    "bots",
    name="bots pause",
    tier="operator",
    latency="command",
    about="Let a bot make no new entries; exits and stops go on",
    options=(_BOT,),
)
async def bots_pause(ask: Ask) -> Card:
    """Pause at once: what lowers risk is one step."""
    bot = _known(ask)
    return await carry_out(ask, f"Pause {safe(bot)}", [(Verb.PAUSE, bot)], f"/bots pause by {ask.who.name}")


async def resume(ask: Ask) -> Card:
    """Resume after the confirmation."""
    bot = _known(ask)
    return await carry_out(ask, f"Resume {safe(bot)}", [(Verb.RESUME, bot)], f"/bots resume by {ask.who.name}")


@command(
    "bots",
    name="bots resume",
    tier="operator",
    about="Let a paused bot enter again",
    options=(_BOT,),
    confirmed=resume,
    private=True,
)
async def bots_resume(ask: Ask) -> Card:
    """Ask first: what raises risk takes two steps."""
    bot = _known(ask)
    if ask.desk.bus.state() is not BusState.CONNECTED:
        raise Denied("E-BUS: the message bus is down: reads show last values, changes are off", rule="bus")
    seen = ask.desk.view.bots.get(bot)
    now = (
        f"{seen.value.mode}, now {seen.value.state}, heard {age(seen.age_s(ask.desk.now_ns))} ago"
        if seen
        else "not heard of yet"
    )
    text = f"**{safe(bot)}** ({now}) may open positions again."
    return Card("Resume?", Tone.WARN, text=text, confirm=Confirm("bots resume", {"bot": bot}, "Resume"))


def _known(ask: Ask) -> str:
    bot = ask.options["bot"]
    if bot not in ask.desk.bots():
        raise ConfigError(f"E-ARG `bot`: there is no bot called {bot!r}; see /bots list")
    return bot
