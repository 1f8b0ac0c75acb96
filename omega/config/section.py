"""The base of every settings model: frozen, strict about keys, secrets hidden in every rendering."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

NO_SECRET = SecretStr("")
"""The default of every secret: none."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    # Only the whole tree is validated at a start: a section builds its own validator when it is first used by itself.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
