"""The settings tree from outside: which path exists, what it accepts, which name is meant. Used by the loader."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from omega.config.models import Settings


def shape(path: tuple[str, ...]) -> Any:
    """Return the type at a path, None when there is no such path."""
    kind: Any = Settings
    for part in path:
        kind = _inner(kind, part)
        if kind is None:
            return None
    return kind


def accepts(path: tuple[str, ...], value: Any) -> bool:
    """Tell whether the setting at a path takes this value; a path that does not exist takes nothing."""
    kind = shape(path)
    if kind is None:
        return False
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def fit(path: tuple[str, ...], tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Spell free keys as the files do: a variable's `FIB_BTC` is the bot `fib-btc`."""
    found: list[str] = []
    kind: Any = Settings
    node: Any = tree
    for part in path:
        name = part
        if _is_dict(kind) and isinstance(node, Mapping):
            name = next((key for key in node if _plain(key) == _plain(part)), part)
        found.append(name)
        kind = _inner(kind, name)
        node = node.get(name) if isinstance(node, Mapping) else None
    return tuple(found)


def nearest(path: tuple[str, ...]) -> str:
    """Name the setting that was probably meant, with its section; empty when none is near."""
    *parents, last = path
    siblings = names_at(tuple(parents))
    close = difflib.get_close_matches(last, siblings, n=1, cutoff=0.6)
    if close:
        return ".".join((*parents, close[0]))
    same = [name for name in leaves() if name.rpartition(".")[2] == last]
    if same:
        return same[0]
    close = difflib.get_close_matches(".".join(path), leaves(), n=1, cutoff=0.7)
    return close[0] if close else ""


def names_at(path: tuple[str, ...]) -> list[str]:
    """Return the valid keys of a section; none where keys are free."""
    kind = _bare(shape(path))
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def leaves(kind: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Return every dotted path below a model; free keys are shown as `NAME`."""
    found: list[str] = []
    for name, info in kind.model_fields.items():
        found += _leaves(info.annotation, f"{prefix}{name}")
    return found


def _leaves(kind: Any, path: str) -> list[str]:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return leaves(kind, f"{path}.")
    if _is_dict(kind):
        return _leaves(get_args(kind)[1], f"{path}.NAME")
    return [path]


def _inner(kind: Any, part: str) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        info = kind.model_fields.get(part)
        return None if info is None else info.annotation
    return get_args(kind)[1] if _is_dict(kind) else None


def _bare(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        models = [inner for inner in get_args(kind) if isinstance(inner, type) and issubclass(inner, BaseModel)]
        return models[0] if models else kind
    return kind


def _is_dict(kind: Any) -> bool:
    return get_origin(_bare(kind)) is dict


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")
