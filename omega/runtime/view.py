"""The dict view of the settings that the seeds ask for; computed, so the two never differ. Used by BaseService."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel

from omega.config import Settings


class ConfigView(Mapping[str, object]):
    """Settings by section name or dotted path: `config["trading.mode"]`. Secrets stay inside their secret type."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def __getitem__(self, key: str) -> object:
        value: object = self._settings()
        for part in key.split("."):
            if isinstance(value, BaseModel) and part in type(value).model_fields:
                value = getattr(value, part)
            elif isinstance(value, Mapping) and part in value:
                value = value[part]
            else:
                raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(type(self._settings()).model_fields)

    def __len__(self) -> int:
        return len(type(self._settings()).model_fields)
