"""What `omega new` writes: small plug-ins that work as they are, each with the test that proves it."""

BOT = '''"""{title}: enter when the close leaves the channel of the last closes.

Run by omega.engine, once a bar.
"""

import numpy as np
import talib

from omega.engine import FLAT, LONG, SHORT, Bars, Signals
from omega.plugins import param, params, strategy


@params
class Params:
    """Length of the channel and the barriers around a position."""

    length: int = param(20, low=5, high=200, unit="bars", reload="restart", doc="bars of the channel")
    stop_atr: float = param(2.0, low=0.5, high=6.0, unit="ATR", doc="stop distance")
    target_atr: float = param(4.0, low=0.5, high=12.0, unit="ATR", doc="target distance")


@strategy(
    "{name}",
    params=Params,
    warmup=lambda p: 20 * 14 + p.length,
    reasons=("broke_up", "broke_down"),
)
def signals(bars: Bars, p: Params) -> Signals:
    """Mark the bars that close outside the channel of the bars before.

    Shapes: every array is (n,), aligned with bars; row k reads rows 0..k alone.
    Units: distances in quote currency per unit.
    """
    highest, lowest = talib.MAX(bars.close, p.length), talib.MIN(bars.close, p.length)
    up, down = np.zeros(bars.n, dtype=np.bool_), np.zeros(bars.n, dtype=np.bool_)
    up[1:] = bars.close[1:] > highest[:-1]
    down[1:] = bars.close[1:] < lowest[:-1]
    atr = talib.ATR(bars.high, bars.low, bars.close, 14)
    return Signals.of(
        side=np.where(up, LONG, np.where(down, SHORT, FLAT)),
        stop_distance=np.nan_to_num(p.stop_atr * atr),
        targets=(np.nan_to_num(p.target_atr * atr),),
        reason=np.where(up, 0, 1),
    )
'''
BOT_TEST = '''"""The strategy `{name}`: what it enters on.

Look-ahead and bounds are proven for every registered bot.
"""

import numpy as np

from bots.{name} import Params, signals
from omega.engine import LONG, SHORT, Bars


def bars_of(close: list[float]) -> Bars:
    """Bars of one minute with a small range around each close."""
    prices = np.array(close)
    ts = np.arange(1, len(close) + 1) * 60_000_000_000
    return Bars.of(ts, prices, prices + 1.0, prices - 1.0, prices, np.ones(len(close)))


def test_{name}_close_above_the_channel_enters_long() -> None:
    """A close above every close of the channel is a long entry, below every one a short entry."""
    flat = [100.0, 101.0] * 200

    assert signals(bars_of([*flat, 120.0]), Params()).at(400).side == LONG
    assert signals(bars_of([*flat, 80.0]), Params()).at(400).side == SHORT
    assert signals(bars_of([*flat, 100.5]), Params()).at(400).side == 0
'''
PERSONA = '''"""{title}: a voice over the same facts; numbers are never its own."""

from omega.plugins import persona

persona(
    "{name}",
    tone="calm and short",
    traits={{"formality": 0.5, "verbosity": 0.3, "warmth": 0.5, "jargon": 0.3, "emoji": 0.0, "numeracy": 0.7}},
    lines={{
        "trade.entered": "{{bot}} is in: {{side}} {{size}} {{symbol}} at {{price}}.",
        "trade.won": "{{bot}} is out of {{symbol}} at {{price}}, net {{pnl}}.",
        "trade.lost": "{{bot}} is out of {{symbol}} at {{price}}, net {{pnl}}.",
        "risk.halted": "Entries on {{account}} are halted: {{reason}}.",
        "risk.released": "{{by}} has released {{account}}.",
        "notices.missed": "{{notices}} notices are folded into this one.",
        "report.status": "{{trading}} of {{bots}} bots trade; net {{pnl}}.",
        "report.positions": "{{positions}} positions, {{naked}} without a whole stop.",
        "report.cosmic": "{{factors}} factors; none is proven to matter.",
        "report.analysis": "{{analysis}} of {{symbol}}: {{findings}} findings, what such were worth beside them.",
    }},
)
'''
PERSONA_TEST = '''"""The persona `{name}`: a sentence for every event, facts as in every voice."""

from omega.plugins import personas
from personas._render import EVENTS, render


def test_{name}_every_event_is_voiced_with_the_same_facts() -> None:
    """Every event renders, and each fact stands below the sentence as it was given."""
    personas.discover()
    entry = personas.get("{name}")

    for event, names in EVENTS.items():
        facts = {{name: f"<{{name}}>" for name in names}}
        said = render(event, facts, entry, seed=1)

        assert all(value in said for value in facts.values())
'''
FACTOR = '''"""{title}: how far the year has come, from -1 in January to +1 in December.

Calculated from the instant alone, no network.
"""

from __future__ import annotations

from datetime import UTC, datetime

from omega.cosmic.readings import calculated
from omega.cosmic.table import SkyTable
from omega.domain import SECOND_NS, Reading
from omega.plugins import factor

DAYS = 366


@factor(
    "{name}",
    kind="calculated",
    ttl_s=86_400,
    source="calendar",
    unit="day of the year",
    span=(1.0, 366.0),
)
def {name}(at_ns: int, sky: SkyTable) -> Reading:  # noqa: ARG001 - every factor is given the sky
    """Read the calendar: the day of the year as the raw number, its place between the ends as the value."""
    day = datetime.fromtimestamp(at_ns // SECOND_NS, UTC).timetuple().tm_yday
    value = 2.0 * (day - 1) / (DAYS - 1) - 1.0
    return calculated("{name}", at_ns, value=value, raw=float(day), label=f"day {{day}}")
'''
FACTOR_TEST = '''"""The factor `{name}`: bounded and a function of the instant alone."""

from omega.cosmic.sky import Sky
from omega.domain import from_iso
from omega.plugins import factors


def test_{name}_any_instant_is_bounded_and_repeatable() -> None:
    """The same instant gives the same reading, inside [-1, 1]."""
    factors.discover()
    entry = factors.get("{name}")
    at_ns = from_iso("2025-05-20T12:00:00Z")
    sky = Sky(hours_ahead=48)
    table = sky.table(at_ns)
    try:
        first = entry.function(at_ns, table)
    finally:
        sky.close()

    assert -1.0 <= first.value <= 1.0
    assert first == entry.function(at_ns, table)
'''
VENUE = '''"""{title}: what differs from the generic ccxt adapter.

Chosen by `trading.venue: {name}`.

It begins as a venue that speaks Bitget's API; replace what differs: the exchange of ccxt, the declaration, the codes,
the addresses, the rows. How: docs/howto/add-a-venue.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from omega.plugins import venue
from services.gateway.capabilities import Capabilities
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venues import bitget

CAPABILITIES = replace(bitget.CAPABILITIES, exchange="{title}")
REFUSALS = Refusals(
    codes={{**bitget.REFUSALS.codes, **table({{RefusalKind.MAINT: "99990 99991"}})}},
    words=bitget.REFUSALS.words,
)


@venue("{name}")
class Venue(bitget.Bitget):
    """One account at {title}."""

    name = "{name}"
    exchange_id: ClassVar[str] = "bitget"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
'''
VENUE_TEST = '''"""The venue `{name}`: registered with what the gateway must know of it.

Give it a fixture in omega/testing/wire/fixtures and it can run the numbered suites `VenueContract` and `WireContract`.
"""

from typing import Any

from omega.domain import client_id
from omega.errors import Rejected, Unresolved
from omega.plugins import venues
from services.gateway.classify import raised


def adapter() -> Any:
    venues.discover()
    return venues.get("{name}").adapter


def test_{name}_takes_our_ids() -> None:
    """Every id that the farm makes fits the venue's rule."""
    rule = adapter().capabilities.client_id

    assert all(rule.allows(client_id("any-bot:1:0", prefix=prefix)) for prefix in "ost")


def test_{name}_knows_a_proof_from_a_doubt() -> None:
    """A known code is a proof; a time-out and an unknown code are not."""
    refusals = adapter().refusals
    known, strange = (ValueError(f'venue {{{{"code": "{{code}}"}}}}') for code in ("99990", "never-seen"))

    assert isinstance(raised(known, "send", refusals), Rejected)
    assert isinstance(raised(strange, "send", refusals), Unresolved)
    assert isinstance(raised(TimeoutError(), "send", refusals), Unresolved)
'''
SOURCE = {"bot": BOT, "persona": PERSONA, "factor": FACTOR, "venue": VENUE}
TEST = {"bot": BOT_TEST, "persona": PERSONA_TEST, "factor": FACTOR_TEST, "venue": VENUE_TEST}
