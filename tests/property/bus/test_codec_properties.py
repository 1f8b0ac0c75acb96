"""Whatever the farm can build, the wire carries unchanged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.bus import Envelope, decode, encode
from omega.bus.messages import SPECS, Message, Spec

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
INTEGERS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
SCALARS = st.one_of(TEXTS, INTEGERS, FLOATS, st.booleans())


def built(kind: type) -> st.SearchStrategy[Any]:
    """Build any message, with our own idea of what a number may be."""
    st.register_type_strategy(Decimal, NUMBERS)
    st.register_type_strategy(float, FLOATS)
    st.register_type_strategy(int, INTEGERS)
    st.register_type_strategy(str, TEXTS)
    return st.from_type(kind)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_codec_any_message_round_trips(spec: Spec):
    @settings(max_examples=25, deadline=None, database=None)
    @given(message=built(spec.cls), texts=st.lists(TEXTS, min_size=6, max_size=6), number=st.integers(0, 2**63 - 1))
    def check(message: Message, texts: list[str], number: int) -> None:
        ident, source, corr, cause, key, trace = texts
        head = (ident, spec.name, spec.version, number, source, number, number, corr, cause, key, number, trace)
        envelope = Envelope(*head, message)
        assert decode(encode(envelope)) == envelope

    check()
