"""Envelopes to bytes and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import Envelope, Message, Quote, Spec, decode, encode, upcast
from omega.bus import messages as rows
from omega.bus.codec import FORMATS, Format
from omega.bus.samples import samples
from omega.bus.versions import _CHAIN, old_versions, to_today
from omega.errors import CorruptData


def wrapped(message: Message, **changes: Any) -> Envelope:
    spec = rows.BY_CLASS[type(message)]
    made = Envelope("01JVNS4P00A1B2C3D4E5F6G7H8", spec.name, 1, 5, "a/1", 0, 1, "c", "", "k", 0, "", message)
    return replace(made, **changes)


@pytest.mark.parametrize("spec", rows.SPECS, ids=lambda spec: spec.name)
def test_codec_every_type_round_trips(spec: Spec):
    for message in samples(spec.name):
        envelope = wrapped(message)
        assert decode(encode(envelope)) == envelope


def test_decode_other_order_and_spaces_is_read():
    """A person with redis-cli writes JSON as they please."""
    wire = json.loads(encode(wrapped(samples("fill")[0])))
    turned = json.dumps(dict(reversed(wire.items())), indent=1).encode()

    assert decode(turned) == wrapped(samples("fill")[0])


def test_decode_unknown_field_is_ignored():
    """A consumer that is older than its producer goes on."""
    wire = json.loads(encode(wrapped(samples("fill")[0])))
    wire["new"], wire["data"]["newer"] = 1, {"x": 2}

    assert decode(json.dumps(wire, separators=(",", ":")).encode()) == wrapped(samples("fill")[0])


@pytest.mark.req("4.26", "4.07")
def test_produce_unknown_field_is_forbidden():
    with pytest.raises(TypeError):
        Quote(venue="v", symbol="s", bid=1.0, ask=1.0, last=1.0, mark=1.0, ts_ns=1, newer=2)


def test_encode_decimals_are_strings_and_exact():
    fill = replace(samples("fill")[0], price=Decimal("0.00000001230"))

    raw = encode(wrapped(fill))

    assert b'"price":"1.230E-8"' in raw
    assert str(decode(raw).data.price) == "1.230E-8"


def test_encode_floats_that_are_not_finite_survive():
    """JSON has no infinity; a status with one must not become unreadable."""
    quote = Quote("v", "s", math.inf, -math.inf, 1.0, math.nan, 1)

    data = decode(encode(wrapped(quote))).data

    assert (data.bid, data.ask, math.isnan(data.mark)) == (math.inf, -math.inf, True)


def test_encode_header_texts_are_escaped():
    envelope = wrapped(samples("fill")[0], corr='",\n"data":{}', source="ü/1")

    assert decode(encode(envelope)) == envelope


@pytest.mark.req("4.26")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"md.quote","v":1}',
        b'{"type":"nobody","v":1,"id":"x","data":{}}',
        b'{"type":"md.quote","v":1,"id":"x","data":{}}',
        b'{"type":"md.quote","v":2,"id":"x","data":{}}',
        b'{"type":"md.quote","v":"1","id":"x","data":{}}',
    ],
)
def test_decode_rubbish_is_corrupt_data(raw: bytes):
    with pytest.raises(CorruptData):
        decode(raw)


@pytest.mark.req("4.20")
def test_decode_old_version_is_brought_to_today(monkeypatch: pytest.MonkeyPatch):
    """Version 1 had one price; version 2 has bid and ask."""
    spec = replace(rows.BY_NAME["md.quote"], version=3)
    monkeypatch.setitem(rows.BY_NAME, "md.quote", spec)
    monkeypatch.setitem(FORMATS, "md.quote", Format(spec))
    monkeypatch.setitem(_CHAIN, ("md.quote", 1), lambda data: {**data, "bid": data["price"], "ask": data["price"]})
    monkeypatch.setitem(_CHAIN, ("md.quote", 2), lambda data: {**data, "mark": data["last"]})
    old = {"venue": "v", "symbol": "s", "price": 5.0, "last": 6.0, "ts_ns": 1}
    head = {"type": "md.quote", "v": 1, "id": "i", "ts": 1, "src": "s", "ep": 0, "seq": 1, "corr": "", "cause": ""}

    envelope = decode(json.dumps({**head, "key": "", "exp": 0, "tp": "", "data": old}).encode())

    assert envelope.version == 1
    assert envelope.data == Quote("v", "s", 5.0, 5.0, 6.0, 6.0, 1)
    assert old_versions("md.quote") == (1, 2)


def test_upcast_missing_or_future_version_is_corrupt_and_double_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(rows.BY_NAME, "fill", replace(rows.BY_NAME["fill"], version=2))
    with pytest.raises(CorruptData, match="no upcaster"):
        to_today("fill", 1, {})
    with pytest.raises(CorruptData, match="update this service"):
        to_today("fill", 3, {})
    monkeypatch.setitem(_CHAIN, ("fill", 1), dict)
    with pytest.raises(ValueError, match="twice"):
        upcast("fill", 1)(dict)
