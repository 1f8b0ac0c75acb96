"""From names and `*` patterns to the streams behind them, new ones too. Under `records`, `follow` and `history`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from omega.bus._subscription import Subscription
from omega.bus.topics import ALL, Topics


def patterned(topic: str) -> bool:
    """Tell a pattern from the name of one stream."""
    return ALL in topic


async def behind(redis: Any, names: Topics, topics: Sequence[str]) -> list[list[str]]:
    """Return the streams that stand behind each topic now, by name; a topic that is no pattern stands for itself."""
    known: list[str] = []
    if any(map(patterned, topics)):
        known = sorted(name.decode() for name in await redis.smembers(names.streams()))
    return [[name for name in known if fnmatchcase(name, topic)] if patterned(topic) else [topic] for topic in topics]


class Lanes:
    """The streams of one reader, topic by topic. A stream that is made later joins when it is announced.

    Attributes:
        of: the streams behind each topic, in the order of the topics.
        stale: somebody has made a stream that may belong here, or an announcement may have been missed.
    """

    def __init__(
        self, redis: Any, names: Topics, topics: Sequence[str], subscribe: Callable[..., Subscription]
    ) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self.of: list[list[str]] = [[] if patterned(topic) else [topic] for topic in self.topics]
        self.stale = self.growing = any(map(patterned, self.topics))
        self._redis = redis
        self._names = names
        self._subscribe = subscribe
        self._ear: Subscription | None = None

    @property
    def all(self) -> list[str]:
        """Every stream, those of earlier topics first."""
        return [name for names in self.of for name in names]

    async def refresh(self) -> list[str]:
        """Look at the index and return the streams that are new; listen for announcements from the first look on."""
        if not self.growing:
            return []
        if self._ear is None:
            ear = self._subscribe(
                channels=[self._names.streams()], patterns=[], sink=self._announced, resumed=self._missed
            )
            await ear.open()
            self._ear = ear
        before = set(self.all)
        self.stale = False  # what is announced while we look makes it stale again
        self.of = await behind(self._redis, self._names, self.topics)
        # A stream that was deleted stays: its writers make it again under the same name.
        gone = before.difference(self.all)
        for place, topic in enumerate(self.topics):
            self.of[place] += sorted(name for name in gone if fnmatchcase(name, topic))
        return [name for name in self.all if name not in before]

    async def close(self) -> None:
        """Stop listening."""
        if self._ear is not None:
            ear, self._ear = self._ear, None
            await ear.close()

    def _announced(self, _: bytes, payload: Any) -> None:
        name = payload.decode()
        self.stale = self.stale or any(fnmatchcase(name, topic) for topic in self.topics if patterned(topic))

    def _missed(self) -> None:
        self.stale = True
