"""A venue's fixture and its templates: shapes of the wire with slots that are filled from the book.

`"$name"` is a slot; `"$name|map"` goes through one of the fixture's maps; `"$name#"` becomes a JSON number; `${name}`
stands inside a text. `{"$rows": LIST, "as": ROW}` becomes the rows of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from omega.errors import ConfigError

FOLDER: Final = Path(__file__).parent / "fixtures"
_SLOT: Final = re.compile(r"\$\{(\w+)\}")

Select = Callable[[str], list[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Fixture:
    """The wire shapes of one venue, as JSON, with where they are from."""

    name: str
    source: str
    data: Mapping[str, Any]

    def fill(self, template: Any, slots: Mapping[str, object], select: Select) -> Any:
        """Return a template with its slots filled.

        Raises:
            ConfigError: a slot has no value.
        """
        if isinstance(template, str):
            return self._slot(template, slots)
        if isinstance(template, list):
            return [self.fill(item, slots, select) for item in template]
        if not isinstance(template, dict):
            return template
        if "$rows" in template:
            row = self.data["rows"][template["as"]]
            return [self.fill(row, {**slots, **found}, select) for found in select(template["$rows"])]
        return {key: self.fill(value, slots, select) for key, value in template.items()}

    def _slot(self, text: str, slots: Mapping[str, object]) -> Any:
        if not text.startswith("$") or text.startswith("${"):
            return _SLOT.sub(lambda found: _text(self._value(found.group(1), slots)), text)
        name, _, more = text[1:].partition("|")
        number = name.endswith("#")
        value = self._value(name.removesuffix("#"), slots)
        if more:
            return self.data["maps"][more][_text(value)]
        if number:
            return json.loads(_text(value))
        return value if isinstance(value, bool) else _text(value)

    def _value(self, name: str, slots: Mapping[str, object]) -> object:
        if name not in slots:
            raise ConfigError(f"fixture {self.name}: the slot ${name} has no value; known are {', '.join(slots)}")
        return slots[name]


def fixture(name: str) -> Fixture:
    """Load a venue's fixture.

    Raises:
        ConfigError: there is none of that name.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(item.stem for item in FOLDER.glob("*.json")))
        raise ConfigError(f"there is no wire fixture {name!r}; known are {known}")
    data = json.loads(path.read_text(encoding="utf-8"))
    return Fixture(name, str(data["source"]), data)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
