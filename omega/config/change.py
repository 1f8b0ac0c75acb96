"""What differs between two settings trees, and what may take effect when. Used by the reloader and BaseService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from omega.config.fields import Reload, reload_of
from omega.config.models import Settings
from omega.errors import ConfigError
from omega.redaction import MASK, is_secret_key

NOTHING = object()
AT_ONCE = frozenset({Reload.LIVE})
BETWEEN_BARS = frozenset({Reload.LIVE, Reload.BAR})

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field with its old and its new value; `NOTHING` where it does not exist."""

    path: str
    old: object
    new: object
    reload: Reload

    def line(self) -> str:
        """Write `path: old -> new`, secrets masked."""
        return f"{self.path}: {self._shown(self.old)} -> {self._shown(self.new)}"

    def _shown(self, value: object) -> str:
        if value is NOTHING:
            return "nothing"
        if isinstance(value, SecretStr) or is_secret_key(self.path) or "://" in str(value):
            return MASK
        return str(value)


@dataclass(frozen=True, slots=True)
class Change:
    """A wanted configuration measured against the one in force.

    Attributes:
        before: what is in force.
        target: what is wanted.
        settings: what comes into force: the differences of the classes in `classes`.
        differences: every field that differs.
        classes: the reload classes that take effect now.
    """

    before: Settings
    target: Settings
    settings: Settings
    differences: tuple[Difference, ...]
    classes: frozenset[Reload]

    @staticmethod
    def between(before: Settings, target: Settings, classes: frozenset[Reload] = AT_ONCE) -> Change:
        """Compare two trees and mix the one that comes into force now."""
        differences = tuple(_differences("", before, target))
        return Change(before, target, _mix(before, target, classes), differences, classes)

    @staticmethod
    def of_values(before: Settings, values: Mapping[str, object]) -> Change:
        """Compare a tree with itself after changes by dotted path.

        Raises:
            ConfigError: a path does not exist or a value does not fit.
        """
        data: dict[str, Any] = before.model_dump()
        for path, value in values.items():
            _put(data, path.split("."), value, path)
        try:
            return Change.between(before, Settings.model_validate(data))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"setting {where} was refused: {first['msg']}; nothing has changed") from None

    def at_once(self, *, bar: bool) -> Change:
        """Return the change with the classes that may take effect now: live, and bar when asked."""
        return Change.between(self.before, self.target, BETWEEN_BARS if bar else AT_ONCE)

    @property
    def changed(self) -> tuple[Difference, ...]:
        """The differences that come into force."""
        return tuple(difference for difference in self.differences if difference.reload in self.classes)

    @property
    def waiting(self) -> tuple[Difference, ...]:
        """The differences that wait for the boundary between two bars."""
        late = Reload.BAR not in self.classes
        return tuple(difference for difference in self.differences if late and difference.reload is Reload.BAR)

    @property
    def restart(self) -> tuple[str, ...]:
        """The paths whose change needs a restart; they keep their old values."""
        return tuple(difference.path for difference in self.differences if difference.reload is Reload.RESTART)

    def lines(self) -> tuple[str, ...]:
        """Write what comes into force, one line a field, secrets masked."""
        return tuple(difference.line() for difference in self.changed)


def _differences(prefix: str, old: BaseModel, new: BaseModel) -> Iterator[Difference]:
    for name, info in type(old).model_fields.items():
        yield from _compare(f"{prefix}{name}", getattr(old, name), getattr(new, name), reload_of(info))


def _compare(path: str, old: object, new: object, reload: Reload) -> Iterator[Difference]:
    if isinstance(old, BaseModel) and isinstance(new, BaseModel):
        yield from _differences(f"{path}.", old, new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _compare(f"{path}.{key}", old.get(key, NOTHING), new.get(key, NOTHING), reload)
    elif old != new:
        yield Difference(path, old, new, reload)


def _mix(old: _M, new: _M, classes: frozenset[Reload]) -> _M:
    fields = type(old).model_fields.items()
    return old.model_copy(
        update={name: _mixed(getattr(old, name), getattr(new, name), reload_of(info), classes) for name, info in fields}
    )


def _mixed(old: object, new: object, reload: Reload, classes: frozenset[Reload]) -> object:
    if isinstance(old, BaseModel) and isinstance(new, BaseModel):
        return _mix(old, new, classes)
    if isinstance(old, dict) and isinstance(new, dict):
        base = new if reload in classes else old
        return {key: _mixed(old.get(key, base[key]), new.get(key, base[key]), reload, classes) for key in base}
    return new if reload in classes else old


def _put(data: dict[str, Any], parts: list[str], value: object, path: str) -> None:
    for part in parts[:-1]:
        inner = data.get(part)
        if not isinstance(inner, dict):
            raise ConfigError(f"there is no setting {path}: {part} is no section; `omega config show` lists all")
        data = inner
    data[parts[-1]] = value
