"""One message of every shape, its variable parts named (`<bot>`, `<symbol>`). For documents and golden files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from enum import EnumType
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omega.bus.messages import BY_NAME, Command, Message
from omega.bus.topics import FARM, RISK
from omega.domain import Action, Intent

_SHAPED = {"reply_to": "<instance>", "request_id": "<instance>/1", "target": "<bot>"}


def samples(name: str) -> Sequence[Message]:
    """Return messages of a type that together reach every topic of it."""
    base = _sample(BY_NAME[name].cls)
    if isinstance(base, Intent):
        return replace(base, action=Action.EXIT), replace(base, action=Action.ENTER)
    if isinstance(base, Command):
        return replace(base, target=FARM), replace(base, target=RISK), base
    return (base,)


def _sample(cls: type) -> Any:
    hints = get_type_hints(cls)
    return cls(**{field.name: _value(field.name, hints[field.name]) for field in fields(cls)})


def _value(name: str, kind: Any) -> Any:
    """Return a plain value of a field's type; texts carry the field's name, so they show in topics."""
    kind = getattr(kind, "__supertype__", kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _value(name, next(option for option in arguments if option is not NoneType))
    if origin is tuple:
        inner = arguments[0]
        return (_value(name, inner),) if arguments[-1] is Ellipsis else tuple(_value(name, kind) for kind in arguments)
    if origin is dict:
        return {f"a {name}": _value(name, arguments[1])}
    if isinstance(kind, EnumType):
        return next(iter(kind))
    plain = {
        bool: True,
        int: 1_747_699_200_000_000_000 if name.endswith("_ns") else 2,
        float: 1.5,
        Decimal: Decimal("0.0120"),
    }
    if kind in plain:
        return plain[kind]
    return _SHAPED.get(name, f"<{name}>") if kind is str else _sample(kind)
