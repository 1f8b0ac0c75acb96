"""The base of every settings model: frozen, strict about keys, secrets hidden in every rendering."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

NO_SECRET = SecretStr("")
"""The default of every secret: none."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
