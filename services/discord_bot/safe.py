"""Makes free text harmless before it is shown: names, reasons, symbols, log lines.

Every text of others passes through here.
"""

import re
import unicodedata
from typing import Final

from discord.utils import escape_markdown, escape_mentions

_ZERO_WIDTH: Final = "\u200b"
_LIST_LINE: Final = re.compile(r"^(\s*\d+)([.)])", re.MULTILINE)
_KEPT_CONTROLS: Final = frozenset("\n")


def safe(text: str, limit: int = 200) -> str:
    """Return the text with nothing in it that pings, links, formats or hides."""
    shown = escape_mentions(escape_markdown(plain(text, limit), as_needed=False, ignore_links=False))
    shown = shown.replace("<", "\\<").replace("://", f":{_ZERO_WIDTH}//")
    return _LIST_LINE.sub(rf"\1{_ZERO_WIDTH}\2", shown)


def plain(text: str, limit: int = 200) -> str:
    """Return the text without what hides or reorders, for places that render no markdown: footers, labels."""
    visible = "".join(
        letter for letter in unicodedata.normalize("NFKC", text) if letter in _KEPT_CONTROLS or not _invisible(letter)
    )
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def safe_code(text: str, limit: int = 1000) -> str:
    """Return the text for the inside of a code block."""
    return plain(text, limit).replace("`", "'")


def _invisible(letter: str) -> bool:
    """Tell control, bidirectional and zero-width characters from letters."""
    return unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs", "Cn"}
