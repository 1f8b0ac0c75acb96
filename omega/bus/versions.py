"""Upcasters: how data of an older version become those of the next. Used by the codec; new versions add rows here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omega.bus.messages import BY_NAME
from omega.errors import CorruptData

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_CHAIN: dict[tuple[str, int], Upcaster] = {}


def upcast(name: str, version: int) -> Callable[[Upcaster], Upcaster]:
    """Register the step from `version` of a message type to the next.

    Raises:
        ValueError: the step is registered already.
    """

    def register(step: Upcaster) -> Upcaster:
        if (name, version) in _CHAIN:
            raise ValueError(f"the step from version {version} of {name} is registered twice; keep one")
        _CHAIN[name, version] = step
        return step

    return register


def to_today(name: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data as today's version of the type would hold them.

    Raises:
        CorruptData: the version is of the future, or a step is missing.
    """
    today = BY_NAME[name].version
    if not 1 <= version <= today:
        raise CorruptData(f"{name} has version {version}, this build knows 1 to {today}; update this service first")
    for step in range(version, today):
        if (name, step) not in _CHAIN:
            raise CorruptData(f"{name} version {step} has no upcaster; register @upcast({name!r}, {step})")
        data = _CHAIN[name, step](data)
    return data


def old_versions(name: str) -> tuple[int, ...]:
    """Return the versions of a type that are read but no longer written."""
    return tuple(range(1, BY_NAME[name].version))
