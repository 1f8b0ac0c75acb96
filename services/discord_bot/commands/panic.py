"""/panic: halt all entries, and close everything, after one button. Found by the command registry."""

from omega.bus import FARM, BusState, Verb
from omega.errors import Denied, OmegaError
from omega.plugins import command
from omega.runtime.kill import kill
from omega.telemetry import get_logger
from services.discord_bot.ask import Ask, Option
from services.discord_bot.card import Card, Confirm, Tone
from services.discord_bot.progress import carry_out
from services.discord_bot.safe import safe
from services.discord_bot.tiers import Tier

LOG = get_logger(__name__)
EVERYTHING, ENTRIES = "everything", "entries"


async def panic_now(ask: Ask) -> Card:
    """Send the orders after the confirmation and follow them."""
    orders = [(Verb.HALT, FARM)]
    if ask.options["scope"] == EVERYTHING:
        _check_everything(ask)
        orders.append((Verb.FLATTEN, FARM))
    reason = f"/panic {ask.options['scope']} by {ask.who.name}"
    if ask.desk.bus.state() is not BusState.CONNECTED and (card := await _past_the_bus(ask, orders[-1][0], reason)):
        return card
    return await carry_out(ask, "PANIC", orders, reason)


async def _past_the_bus(ask: Ask, verb: Verb, reason: str) -> Card | None:
    """Pull the gateway's kill switch; None when that is not set up or not answered, and the order waits for the bus."""
    gateway = ask.desk.settings.gateway
    try:
        key = gateway.kill_key.get_secret_value()
        answer = await kill(gateway.kill_url, key, verb=verb.value, actor=ask.who.actor, reason=reason)
    except OmegaError as error:
        LOG.warning("panic.not_past_the_bus", error=str(error))
        return None
    text = (
        f"⚠ The message bus is down. The gateway was told **directly**: {safe(str(answer['stage']))}.\n"
        "Entries are halted until a person releases them; stops stay at the venue."
    )
    return Card("PANIC", Tone.DANGER, text=text, public=True)


@command(
    "panic",
    tier="trader",
    about="Halt all entries; scope everything also closes all positions",
    options=(Option("scope", "entries, or everything (the default)", choices=(EVERYTHING, ENTRIES)),),
    confirmed=panic_now,
    private=True,
)
async def panic(ask: Ask) -> Card:
    """Restate what would happen now and ask once."""
    scope = ask.options.get("scope", EVERYTHING)
    if scope == EVERYTHING:
        _check_everything(ask)
    view = ask.desk.view
    open_now = len(view.lines())
    effect = "Entries of the whole farm are **halted** until a person releases them."
    if scope == EVERYTHING:
        effect += f"\nAll positions (**{open_now}** known) are **closed at the market**. Stops go last."
    age_s = view.age_s()
    known = f"known {age_s:.0f} s ago" if age_s != float("inf") else "nothing has been heard of yet"
    text = f"{ask.desk.banner()}\n{effect}\n{len(ask.desk.bots())} bots, {known}.".strip()
    return Card("Panic?", Tone.DANGER, text=text, confirm=Confirm("panic", {"scope": scope}, "PANIC"))


def _check_everything(ask: Ask) -> None:
    if ask.who.tier < Tier.OPERATOR:
        raise Denied(
            "E-TIER: you need **operator** to close everything; `/panic scope:entries` halts entries with your tier",
            rule="tier",
        )
