"""How a setting is declared: default, words, unit, when a change takes effect. Used by the models and the reloader."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


class Reload(StrEnum):
    """When a changed value takes effect."""

    LIVE = "live"
    """At once."""
    BAR = "bar"
    """Between two bars."""
    RESTART = "restart"
    """When the process starts again."""


LIVE, BAR, RESTART = Reload.LIVE, Reload.BAR, Reload.RESTART


def setting(default: Any, doc: str, *, unit: str = "", reload: Reload = RESTART, **limits: Any) -> Any:
    """Declare one setting; a callable default makes a fresh value, `...` makes the setting required.

    Args:
        default: the value without any file.
        doc: one sentence that a person reads in `omega config show` and in the schema.
        unit: what the number counts; empty for texts and switches.
        reload: when a change takes effect.
        limits: pydantic's own constraints (ge, le, gt, lt, min_length, pattern).
    """
    extra: JsonDict = {"reload": reload.value, **({"unit": unit} if unit else {})}
    if callable(default):
        return Field(default_factory=default, description=doc, json_schema_extra=extra, **limits)
    return Field(default, description=doc, json_schema_extra=extra, **limits)


def reload_of(info: FieldInfo) -> Reload:
    """Return when a change of this field takes effect; a field that does not say so needs a restart."""
    extra = info.json_schema_extra
    return Reload(str(extra["reload"])) if isinstance(extra, dict) and "reload" in extra else RESTART


def unit_of(info: FieldInfo) -> str:
    """Return the unit of a field, empty when it has none."""
    extra = info.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""
