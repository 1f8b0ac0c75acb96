"""A secret that was pasted into the wrong field is not repeated by the error that says so."""

from __future__ import annotations

import pytest

from omega.config.loader import load
from omega.errors import ConfigError


@pytest.mark.req("1.04")
def test_value_that_looks_like_a_key_is_not_shown_by_the_error() -> None:
    key = "bg_7f3a9c1d5e8b2046"

    with pytest.raises(ConfigError, match=r"gateway\.timeout_ms") as caught:
        load(environ={"OMEGA_GATEWAY__TIMEOUT_MS": key})

    assert key not in str(caught.value)
    assert "19 characters" in str(caught.value)


def test_wrong_value_that_is_no_key_is_still_shown() -> None:
    with pytest.raises(ConfigError, match="= quickly"):
        load(environ={"OMEGA_GATEWAY__TIMEOUT_MS": "quickly"})
