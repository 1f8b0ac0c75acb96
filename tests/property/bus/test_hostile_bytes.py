"""What a stranger may put on the wire, into a file or into a setting: refused in our own words, never a crash."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.bus import Envelope, decode, encode
from omega.bus.messages import SPECS
from omega.bus.samples import samples
from omega.config import Settings
from omega.config.change import Change
from omega.errors import ConfigError, CorruptData

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = [
    encode(Envelope("01J", spec.name, spec.version, 1, "cli/1", 0, 1, "c", "", "k", 0, "", samples(spec.name)[0]))
    for spec in SPECS
]
"""A sound one of every type."""


def survives(raw: bytes) -> None:
    with contextlib.suppress(CorruptData):
        decode(raw)


@pytest.mark.req("2.109")
@given(raw=st.binary(max_size=200))
def test_decode_any_bytes_is_a_message_or_corrupt_data(raw: bytes) -> None:
    survives(raw)


@pytest.mark.req("2.109")
@given(data=st.data())
def test_decode_a_message_with_any_field_replaced_is_a_message_or_corrupt_data(data: Any) -> None:
    """A sound envelope of a random type with one value, at any depth, turned into something else."""
    raw = data.draw(st.sampled_from(sorted(MESSAGES)))
    message = json.loads(raw)
    at: Any = message
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        if isinstance(at[key], dict) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(JSON)
        break
    survives(json.dumps(message).encode())


@pytest.mark.req("2.109")
@given(path=st.sampled_from(["trading.max_leverage", "redis.url", "bots", "cosmic.factors", "x.y"]), value=JSON)
def test_setting_of_any_value_is_taken_or_refused_by_name(path: str, value: Any) -> None:
    said = ""
    try:
        Change.of_values(Settings(), {path: value})
    except ConfigError as error:
        said = str(error)

    assert not said or path.partition(".")[0] in said
