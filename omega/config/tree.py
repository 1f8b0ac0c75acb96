"""Settings as they stand in files: a tree of values that know where they were written. Used by the loader."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from omega.errors import ConfigError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*)?\.?[0-9]+([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*\.")
_NAMES: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a file with a line, a secret file, a variable, an argument."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source} line {self.line}" if self.line else self.source


@dataclass(slots=True)
class Leaf:
    """A value with its origin."""

    value: Any
    origin: Origin


@dataclass(slots=True)
class Branch:
    """A mapping with its origin."""

    origin: Origin
    children: dict[str, Branch | Leaf] = field(default_factory=dict)

    def put(self, path: tuple[str, ...], leaf: Leaf) -> None:
        """Write one leaf, making the branches on the way."""
        branch = self
        for part in path[:-1]:
            inner = branch.children.get(part)
            if not isinstance(inner, Branch):
                inner = branch.children[part] = Branch(leaf.origin)
            branch = inner
        branch.children[path[-1]] = leaf

    def merge(self, over: Branch) -> None:
        """Lay another tree over this one: mappings merge, everything else is replaced whole."""
        for key, theirs in over.children.items():
            ours = self.children.get(key)
            if isinstance(ours, Branch) and isinstance(theirs, Branch):
                ours.merge(theirs)
            else:
                self.children[key] = theirs

    def plain(self) -> dict[str, Any]:
        """Return the bare values."""
        return {
            key: child.plain() if isinstance(child, Branch) else child.value for key, child in self.children.items()
        }

    def origins(self, prefix: str = "") -> dict[str, Origin]:
        """Return where each leaf was written, by dotted path."""
        found: dict[str, Origin] = {}
        for key, child in self.children.items():
            path = f"{prefix}{key}"
            found |= child.origins(f"{path}.") if isinstance(child, Branch) else {path: child.origin}
        return found

    def origin_of(self, path: tuple[str | int, ...]) -> Origin:
        """Return the origin of the deepest node on a path."""
        node: Branch | Leaf = self
        for part in path:
            inner = node.children.get(str(part)) if isinstance(node, Branch) else None
            if inner is None:
                break
            node = inner
        return node.origin


def read_yaml(path: Path, shown: str) -> Branch:
    """Read one YAML file into a tree.

    Only plain values are known: null, true, false, numbers, texts, lists, mappings. `yes`, `on` and dates stay texts.

    Raises:
        ConfigError: the file cannot be read, is no YAML mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown} cannot be read ({error}): check that it exists and is UTF-8 text") from None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{shown} line {line} is no YAML: {error.problem}; correct that line") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{shown} is no YAML: {error}; correct the file") from None
    if root is None:
        return Branch(Origin(shown))
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{shown} line 1 is no mapping: write `section:` and its settings below it")
    return _branch(root, Origin(shown, 1))


def scalar(text: str) -> Any:
    """Read a plain scalar as YAML 1.2 does: only true, false, null and numbers are not texts."""
    if text.lower() in _NAMES and text in {text.lower(), text.capitalize()}:
        return _NAMES[text.lower()]
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def flow(text: str) -> Any:
    """Read a value from a variable or argument: a YAML scalar, list or mapping; what is no YAML stays a text."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return text
    return None if node is None else _plain(node, Origin("value"))


def _branch(node: yaml.MappingNode, origin: Origin) -> Branch:
    branch = Branch(origin)
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{origin.source} line {key_node.start_mark.line + 1}: a key must be a plain word")
        here = Origin(origin.source, key_node.start_mark.line + 1)
        key = str(key_node.value)
        if key in branch.children:
            first = branch.children[key].origin
            raise ConfigError(
                f"{here}: the key {key} stands here for the second time, first in line {first.line}; remove one"
            )
        if isinstance(value_node, yaml.MappingNode):
            branch.children[key] = _branch(value_node, here)
        else:
            branch.children[key] = Leaf(_plain(value_node, here), here)
    return branch


def _plain(node: yaml.Node, origin: Origin) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _branch(node, origin).plain()
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, origin) for item in node.value]
    style: str | None = getattr(node, "style", None)
    return str(node.value) if style else scalar(node.value)
