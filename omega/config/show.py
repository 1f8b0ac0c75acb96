"""The settings for people and tools: a masked listing with origins, JSON, JSON Schema. Used by `omega config`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from omega.config.fields import reload_of, unit_of
from omega.config.loader import Loaded
from omega.config.models import Settings
from omega.redaction import MASK, Redactor

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as it is shown."""

    path: str
    value: Any
    unit: str
    reload: str
    origin: str
    doc: str


def rows(loaded: Loaded) -> list[Row]:
    """Return every setting in force, secrets masked."""
    redactor = Redactor()
    redactor.learn(loaded.settings)
    return list(_rows("", loaded.settings, loaded.provenance, redactor))


def as_text(loaded: Loaded) -> str:
    """Write every setting with its value, unit, reload class and origin, aligned."""
    shown = rows(loaded)
    names = max(len(row.path) for row in shown)
    values = [json.dumps(row.value, ensure_ascii=False, default=str) for row in shown]
    width = min(max(map(len, values)), 40)
    lines = [
        f"{row.path:<{names}}  {value:<{width}}  {row.unit:<18}  {row.reload:<7}  {row.origin}".rstrip()
        for row, value in zip(shown, values, strict=True)
    ]
    return "\n".join([*lines, f"generation {loaded.generation}"])


def as_json(loaded: Loaded) -> dict[str, Any]:
    """Return the same as data."""
    settings = {
        row.path: {"value": row.value, "unit": row.unit, "reload": row.reload, "origin": row.origin}
        for row in rows(loaded)
    }
    return {"generation": loaded.generation, "warnings": list(loaded.warnings), "settings": settings}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the whole tree, with unit and reload class beside every field."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def _rows(prefix: str, section: BaseModel, origins: Mapping[str, str], redactor: Redactor) -> Iterator[Row]:
    for name, info in type(section).model_fields.items():
        path = f"{prefix}{name}"
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _rows(f"{path}.", value, origins, redactor)
        elif isinstance(value, dict) and any(isinstance(item, BaseModel) for item in value.values()):
            for key, item in value.items():
                yield from _rows(f"{path}.{key}.", item, origins, redactor)
        else:
            origin = origins.get(path) or _origin_below(path, origins)
            yield Row(
                path, _masked(value, redactor), unit_of(info), reload_of(info).value, origin, info.description or ""
            )


def _origin_below(path: str, origins: Mapping[str, str]) -> str:
    below = sorted({origin for name, origin in origins.items() if name.startswith(f"{path}.")})
    return ", ".join(below) or DEFAULT


def _masked(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, BaseModel):
        return {name: _masked(getattr(value, name), redactor) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _masked(item, redactor) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, redactor) for item in value]
    if isinstance(value, bool | int | float | None):
        return value
    return redactor.text(str(value))
