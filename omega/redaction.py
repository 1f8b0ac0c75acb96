"""Keep secrets out of logs: by key, by registered value, and by the shape of tokens. Used by logging and config."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import BaseModel, SecretStr

MASK = "[redacted]"
SHORTEST = 4
"""Values below this length are not searched for: they would redact ordinary text."""

_KEYS = re.compile(
    r"(secret|password|passwd|passphrase|api_?key|access_?key|private_?key|kill_?key|authorization|access-sign|token$|^token)",
    re.IGNORECASE,
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}"), MASK),  # a Discord bot token
    (re.compile(r"(discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/)[\w-]+"), rf"\1{MASK}"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(@)"), rf"\1{MASK}\2"),  # a password inside a URL
    (re.compile(r"\b(Bearer|Bot|Basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"), MASK),  # a JSON web token
)


class Redactor:
    """Replaces every known secret in texts and structures."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.register(*values)

    def register(self, *values: str) -> None:
        """Search for these values from now on, also in their URL and base64 forms."""
        for value in values:
            if len(value) >= SHORTEST:
                self._values |= {
                    value,
                    quote(value, safe=""),
                    quote_plus(value),
                    base64.b64encode(value.encode()).decode(),
                }
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def learn(self, settings: BaseModel) -> None:
        """Register every secret of a settings tree, passwords inside URLs too."""
        self.register(*secrets_of(settings))

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: object) -> object:
        """Return a value without secrets; containers are copied, an object stays unless its text holds a secret."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, SecretStr):
            return MASK
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        text = str(value)
        cleaned = self.text(text)
        return value if cleaned == text else cleaned

    def mapping(self, mapping: Mapping[str, object]) -> dict[str, object]:
        """Return a mapping without secrets; a telling key hides its value whatever it is."""
        return {key: MASK if is_secret_key(str(key)) and item else self.value(item) for key, item in mapping.items()}


def is_secret_key(key: str) -> bool:
    """Tell whether a key names a secret."""
    return _KEYS.search(key) is not None


def secrets_of(settings: BaseModel) -> list[str]:
    """Return every secret value inside a settings tree."""
    found: list[str] = []
    for name in type(settings).model_fields:
        found += _secrets(getattr(settings, name))
    return found


def _secrets(value: object) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return secrets_of(value)
    if isinstance(value, Mapping):
        return [secret for item in value.values() for secret in _secrets(item)]
    if isinstance(value, list | tuple):
        return [secret for item in value for secret in _secrets(item)]
    if isinstance(value, str) and "://" in value and "@" in value:
        return [password] if (password := _password(value)) else []
    return []


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
