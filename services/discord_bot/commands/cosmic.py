"""/cosmic now: the readings of every factor, with what they weigh and what they prove.

Found by the command registry.
"""

from omega.plugins import command
from services.discord_bot.ask import Ask
from services.discord_bot.card import Card, Tone
from services.discord_bot.figures import age, table
from services.discord_bot.safe import safe, safe_code


@command(
    "cosmic",
    name="cosmic now",
    tier="viewer",
    about="Show the cosmic readings, their weight and their age",
)
async def cosmic_now(ask: Ask) -> Card:
    """Show each factor's value in [-1, 1], its label, its weight and its age."""
    view, cosmic = ask.desk.view, ask.desk.settings.cosmic
    if not view.readings:
        text = f"{ask.desk.banner()}\nNo reading has been heard of yet.".strip()
        return Card("Cosmic", Tone.STOPPED, text=text)
    rows, fields = [], []
    for name, seen in sorted(view.readings.items()):
        switch = cosmic.factors.get(name)
        on = bool(cosmic.enabled and switch and switch.enabled)
        weight = f"{switch.weight:.2f}" if switch and on else "off"
        rows.append([safe_code(name), f"{seen.value.value:+.2f}", weight, age(seen.value.age_s(ask.desk.now_ns))])
        fields.append((safe(name), f"{safe(seen.value.label)} · {seen.value.state} · {safe(seen.value.source)}"))
    oldest = max(seen.age_s(ask.desk.now_ns) for seen in view.readings.values())
    text = "No proven effect. Readings act only where a person has switched them on, and in live mode only shrink risk."
    return Card(
        "Cosmic",
        Tone.COSMIC,
        voice=ask.voice("report.cosmic", {"factors": str(len(rows))}),
        text=f"{ask.desk.banner()}\n{text}".strip(),
        table=table(["factor", "value", "weight", "age"], rows),
        fields=tuple(fields),
        footer=f"as of {age(oldest)} ago",
    )
