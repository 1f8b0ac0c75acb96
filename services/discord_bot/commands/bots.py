"""/bots list|pause|resume|mood|calm: who runs, who may enter, and in what mood. Found by the command registry."""

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
    return await _give(Verb.PAUSE, ask)


async def resume(ask: Ask) -> Card:
    """Resume after the confirmation."""
    return await _give(Verb.RESUME, ask)


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
    _reachable(ask)
    seen = ask.desk.view.bots.get(bot)
    now = (
        f"{seen.value.mode}, now {seen.value.state}, heard {age(seen.age_s(ask.desk.now_ns))} ago"
        if seen
        else "not heard of yet"
    )
    text = f"**{safe(bot)}** ({now}) may open positions again."
    return Card("Resume?", Tone.WARN, text=text, confirm=Confirm("bots resume", {"bot": bot}, "Resume"))


@command(
    "bots",
    name="bots mood",
    tier="viewer",
    about="Show a bot's state of mind, what it comes from and what it does to its size",
    options=(_BOT,),
)
async def bots_mood(ask: Ask) -> Card:
    """Show the state of mind; experimental, and off unless the bot names a profile."""
    bot = _known(ask)
    seen = ask.desk.view.bots.get(bot)
    if seen is None:
        return Card("Mood", Tone.STOPPED, text=f"{ask.desk.banner()}\nNothing is heard of {safe(bot)} yet.".strip())
    footer, mind = f"experimental · as of {age(seen.age_s(ask.desk.now_ns))} ago", seen.value.mind
    if mind is None:
        text = f"Psychology is off for {safe(bot)}: every entry is what the strategy says."
        return Card(f"Mood · {safe(bot)}", Tone.STOPPED, text=f"{ask.desk.banner()}\n{text}".strip(), footer=footer)
    bound = "live: it can only shrink an entry" if mind.live else "simulated money: it may also enlarge one"
    return Card(
        f"Mood · {safe(bot)}",
        Tone.OK if mind.sizes >= 1.0 else Tone.WARN,
        text=f"{ask.desk.banner()}\n**{safe(mind.emotion)}**, the {safe(mind.profile)} trader. {bound}.".strip(),
        fields=(
            ("Effect", f"entries at {mind.sizes:.0%} of their size"),
            ("Confidence, risk, stress", f"{mind.confidence:.2f}, {mind.risk:.2f}, {mind.stress:.2f}"),
            ("Intuition, connection", f"{mind.intuition:.2f}, {mind.connection:.2f}"),
            ("In a row", f"{mind.wins} wins, {mind.losses} losses, {mind.balanced} balanced exits"),
            ("Market that its traits follow", safe(mind.regime) if mind.regime else "fixed traits"),
        ),
        footer=footer,
    )


async def calm(ask: Ask) -> Card:
    """Calm after the confirmation."""
    return await _give(Verb.CALM, ask)


@command(
    "bots",
    name="bots calm",
    tier="operator",
    about="Let a bot's state of mind begin anew; its book and trades stay",
    options=(_BOT,),
    confirmed=calm,
    private=True,
)
async def bots_calm(ask: Ask) -> Card:
    """Ask first: a frightened mind trades smaller, so calming it may raise the next entries."""
    bot = _known(ask)
    _reachable(ask)
    seen = ask.desk.view.bots.get(bot)
    mind = seen.value.mind if seen is not None else None
    now = (
        f"{safe(mind.emotion)}, entries at {mind.sizes:.0%} of their size, heard {age(seen.age_s(ask.desk.now_ns))} ago"
        if seen is not None and mind is not None
        else "no state of mind is heard of"
    )
    text = f"The state of mind of **{safe(bot)}** ({now}) begins anew; entries may become larger. Book and trades stay."
    return Card("Calm?", Tone.WARN, text=text, confirm=Confirm("bots calm", {"bot": bot}, "Calm"))


async def _give(verb: Verb, ask: Ask) -> Card:
    """Give a verb to the bot that is named."""
    bot = _known(ask)
    return await carry_out(ask, f"{verb.capitalize()} {safe(bot)}", [(verb, bot)], f"/bots {verb} by {ask.who.name}")


def _known(ask: Ask) -> str:
    bot = ask.options["bot"]
    if bot not in ask.desk.bots():
        raise ConfigError(f"E-ARG `bot`: there is no bot called {bot!r}; see /bots list")
    return bot


def _reachable(ask: Ask) -> None:
    if ask.desk.bus.state() is not BusState.CONNECTED:
        raise Denied("E-BUS: the message bus is down: reads show last values, changes are off", rule="bus")
