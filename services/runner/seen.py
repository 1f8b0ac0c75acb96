"""What a bot can see, as data, and what it does about it: the inputs and outputs of the fold. Recorded by sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omega.bus import AccountStatus, DecisionMade, FundingPaid, OrderEvent
from omega.domain import Bar, Fill, Intent, Reading
from services.runner.charter import Charter
from services.runner.state import Order


@dataclass(frozen=True, slots=True)
class History:
    """A bar that came late: it belongs into the window and is not decided on."""

    bar: Bar


@dataclass(frozen=True, slots=True)
class Closed:
    """A bar has closed; `entries` tells whether the bus and the age of the bar allow an entry just now."""

    bar: Bar
    entries: bool


@dataclass(frozen=True, slots=True)
class Again:
    """The newest bar of the window has not been decided on: the process that should have is gone."""

    entries: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """An execution of the bot's own, and its place in the stream of the bot's events."""

    fill: Fill
    entry_id: str


@dataclass(frozen=True, slots=True)
class Funded:
    """A funding payment, and its place in the stream of the bot's events."""

    paid: FundingPaid
    entry_id: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order of the bot's own has changed its state, and where that stands in the stream of the bot's events."""

    event: OrderEvent
    entry_id: str


@dataclass(frozen=True, slots=True)
class Passed:
    """Everything in the stream of the bot's events up to this place is known."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class Read:
    """A cosmic factor has been read."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Polled:
    """The account, as the gateway publishes it."""

    status: AccountStatus


@dataclass(frozen=True, slots=True)
class Told:
    """A person's standing order."""

    order: Order


@dataclass(frozen=True, slots=True)
class Flattened:
    """A person wants the position closed now and nothing entered after."""

    command_id: str
    actor: str


@dataclass(frozen=True, slots=True)
class Calmed:
    """A person lets the trader's mind begin anew."""


@dataclass(frozen=True, slots=True)
class Stirred:
    """A market event that a person tells the trader of, one of `omega.engine.psychology.EVENTS`."""

    event: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The settings have changed between two bars."""

    charter: Charter


Seen = (
    History
    | Closed
    | Again
    | Filled
    | Funded
    | Ordered
    | Passed
    | Read
    | Polled
    | Told
    | Flattened
    | Calmed
    | Stirred
    | Changed
)


@dataclass(frozen=True, slots=True)
class Done:
    """What the bot does about something it saw: intents in the order they leave, and the decision that names them."""

    intents: tuple[Intent, ...] = ()
    made: DecisionMade | None = None


NOTHING: Final = Done()
