"""Turn what the validator found into words: place, key, value, what is allowed, what was meant. Used by the loader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from omega.config.tree import Branch
from omega.redaction import Redactor, is_secret_key

SHOWN = 8
"""Findings that are spelled out; the rest is counted."""

LONGEST = 60
"""Characters of a wrong value that are shown."""

EXPECTED = {
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "string_type": "expected a text; put it in quotes",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a section with settings below it",
    "missing": "is missing",
}


def explain(error: ValidationError, tree: Branch, nearest: Callable[[tuple[str, ...]], str]) -> str:
    """Write one paragraph that names each wrong setting and what to do."""
    seen: dict[str, None] = {}
    for found in error.errors(include_url=False):
        seen.setdefault(_line(found, tree, nearest), None)
    lines = list(seen)
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    head = "a setting is wrong" if len(lines) == 1 else f"{len(lines)} settings are wrong"
    return f"{head}: {'; '.join(lines[:SHOWN])}{more}. Correct the place named and run `omega config check`"


def _line(found: Mapping[str, Any], tree: Branch, nearest: Callable[[tuple[str, ...]], str]) -> str:
    kind = str(found["type"])
    path = tuple(str(part) for part in found["loc"] if not _is_tag(part))
    where = tree.origin_of(path)
    name = ".".join(path)
    if kind == "extra_forbidden":
        meant = nearest(path)
        return f"{where}: there is no setting {name}" + (f" (did you mean {meant}?)" if meant else ", remove it")
    if kind == "missing":
        return f"{where}: {name} is missing"
    return f"{where}: {name}{_value(path, found.get('input'))}: {EXPECTED.get(kind) or _words(found)}"


_LIKE_A_SECRET = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])(?!\S*://)(?![./~])\S{16,}")
"""Long, of letters and figures, no address and no path: what the sixteen characters of a key look like at the least."""
_OPENING = 3


def _words(found: Mapping[str, Any]) -> str:
    words = str(found["msg"]).removeprefix("Value error, ")
    return words.replace("Input should be", "must be").replace("String should match", "must match")


def _is_tag(part: object) -> bool:
    """Tell whether a location names a branch of a union and not a key."""
    return isinstance(part, str) and (part in {"bool", "int", "float", "str", "[key]"} or part.endswith("]"))


def _value(path: tuple[str, ...], value: object) -> str:
    if any(is_secret_key(part) for part in path) or isinstance(value, dict | list):
        return ""
    shown = Redactor().text(str(value))
    if _LIKE_A_SECRET.fullmatch(shown):  # a key that was pasted into the wrong field
        return f" = {shown[:_OPENING]}... ({len(shown)} characters, not shown: it may be a secret)"
    return f" = {shown if len(shown) <= LONGEST else shown[:LONGEST] + '...'}"
