"""What the ledger reads, against what the registry of messages says that it keeps."""

from fnmatch import fnmatchcase

import pytest

from omega.bus import MemoryBus
from omega.bus.messages import SPECS
from omega.bus.samples import samples
from omega.config import Bot, Environment, Settings
from services.ledger import LedgerService

BOT = Bot(strategy="fib", symbol="BTC/USDT:USDT")
KEPT = [spec.name for spec in SPECS if "ledger" in spec.groups and spec.name != "request"]


@pytest.mark.parametrize("name", KEPT)
def test_ledger_topics_reach_every_record_that_the_registry_gives_it(name: str):
    """Every message that names the ledger as a group goes to a stream that it drains."""
    settings = Settings(environment=Environment(instance="ledger"), bots={"fib": BOT})
    bus = MemoryBus(env="dev", source="ledger/ledger")
    topics = LedgerService(settings=settings, bus=bus).topics

    for sample in samples(name):
        made = [_named(topic, settings) for topic in bus.topics.of(sample)]
        assert any(fnmatchcase(topic, kept) for topic in made for kept in topics), made


def _named(topic: str, settings: Settings) -> str:
    names = {"<bot>": "fib", "<venue>": settings.trading.venue, "<account>": settings.trading.account}
    for part, name in names.items():
        topic = topic.replace(part, name)
    return topic
