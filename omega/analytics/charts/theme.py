"""Colours and sizes of the pictures. A phone shows a picture about 400 points wide: texts are sized for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omega.analytics.analysis import Tone
from omega.errors import ConfigError

WIDTH_IN: Final = 4.0
DPI: Final = 200
"""800 pixels wide: two a point on a phone, so that lines stay sharp."""
TEXT: Final = 7.0
SMALL: Final = 6.2
TITLE: Final = 9.5


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours; `tones` by the tone of a mark."""

    back: str
    card: str
    ink: str
    soft: str
    grid: str
    tones: dict[Tone, str]


_THEMES: Final = {
    "dark": Theme(
        "#0f141a",
        "#171e26",
        "#e7ecf2",
        "#9fabb9",
        "#2a343f",
        {Tone.UP: "#3ecfa3", Tone.DOWN: "#ff7a66", Tone.STRONG: "#7ba4ff", Tone.SOFT: "#b9a7ff"},
    ),
    "light": Theme(
        "#ffffff",
        "#f7f8fa",
        "#1b232c",
        "#56626f",
        "#dde2e8",
        {Tone.UP: "#0a8a64", Tone.DOWN: "#c93a26", Tone.STRONG: "#2f5fd0", Tone.SOFT: "#6d4fc4"},
    ),
}
THEMES: Final = tuple(_THEMES)


def theme_of(name: str) -> Theme:
    """Return a theme by name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in _THEMES:
        raise ConfigError(f"there is no theme {name!r}: one of {', '.join(THEMES)}")
    return _THEMES[name]
