"""Envelopes to JSON bytes and back: one pydantic validation a message. Called by every bus at its edge.

On the wire: type, v(ersion), id, ts, src, ep(och), seq, corr, cause, key, exp (deadline), tp (traceparent), data;
Decimals are strings. Producers cannot write an unknown field (the dataclasses refuse it); consumers ignore one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer, SchemaValidator, ValidationError, core_schema, from_json, to_json

from omega.bus.envelope import Envelope
from omega.bus.messages import BY_CLASS, SPECS, Message, Spec
from omega.bus.versions import to_today
from omega.errors import CorruptData

WIRE_NAMES: Final = {
    "type": "type",
    "version": "v",
    "id": "id",
    "ts_ns": "ts",
    "source": "src",
    "epoch": "ep",
    "seq": "seq",
    "corr": "corr",
    "cause": "cause",
    "key": "key",
    "deadline_ns": "exp",
    "traceparent": "tp",
    "data": "data",
}
"""The envelope's fields and how the wire spells them, in the order they are written."""

_INTEGERS = frozenset({"version", "ts_ns", "epoch", "seq", "deadline_ns"})
_SHOWN = 120


def _finite_or_text(schema: Any) -> Any:
    """Let floats that are not finite travel as `NaN` and `Infinity` texts: JSON has no other way to write them."""
    if isinstance(schema, dict):
        copied = {key: _finite_or_text(value) for key, value in schema.items() if key != "cls"}
        if "cls" in schema:
            copied["cls"] = schema["cls"]
        if schema.get("type") == "dataclass":
            copied["config"] = {**schema.get("config", {}), "ser_json_inf_nan": "strings"}
        return copied
    if isinstance(schema, (list, tuple)):
        return type(schema)(_finite_or_text(value) for value in schema)
    return schema


def _envelope_schema(data: core_schema.CoreSchema) -> core_schema.CoreSchema:
    text, integer = core_schema.str_schema(), core_schema.int_schema()
    fields = [
        core_schema.dataclass_field(
            name, data if name == "data" else integer if name in _INTEGERS else text, validation_alias=alias
        )
        for name, alias in WIRE_NAMES.items()
    ]
    arguments = core_schema.dataclass_args_schema("Envelope", fields)
    return core_schema.dataclass_schema(
        Envelope, arguments, fields=[field["name"] for field in fields], slots=True, frozen=True
    )


class Format:
    """How one message type is written and read; a process builds it for the types that it meets.

    Attributes:
        spec: the row of the type.
        opening: the first bytes of every message of today's version.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.opening = b'{"type":"%b","v":%d' % (spec.name.encode(), spec.version)

    @cached_property
    def dump(self) -> Callable[[Message], bytes]:
        """Write the data alone."""
        return SchemaSerializer(self._schema).to_json

    @cached_property
    def load_today(self) -> Callable[[bytes], Envelope]:
        """Read an envelope of today's version in one validation."""
        return self._envelope.validate_json

    @cached_property
    def _envelope(self) -> SchemaValidator:
        return SchemaValidator(_envelope_schema(self._schema))

    @cached_property
    def _schema(self) -> Any:
        return _finite_or_text(TypeAdapter(self.spec.cls).core_schema)

    def load_older(self, wire: dict[str, Any]) -> Envelope:
        """Read an envelope of any version: its data are brought to today's version first."""
        data = to_today(self.spec.name, wire["v"], wire["data"])
        return self._envelope.validate_json(to_json({**wire, "data": data}))  # type: ignore[no-any-return]


FORMATS: Final = {spec.name: Format(spec) for spec in SPECS}
_BY_OPENING = {form.opening: form for form in FORMATS.values()}
_BY_CLASS = {spec.cls: FORMATS[spec.name] for spec in SPECS}


def format_of(message: Message) -> Format:
    """Return the format of a message.

    Raises:
        TypeError: the object is no message of the farm.
    """
    try:
        return _BY_CLASS[type(message)]
    except KeyError:
        raise TypeError(f"{type(message).__name__} is no message: add a row to omega.bus.messages.SPECS") from None


def prepare(*kinds: type[Message]) -> None:
    """Build the formats of some types now, so that their first message need not wait for it (some milliseconds)."""
    for kind in kinds:
        form = _BY_CLASS[kind]
        _ = form.dump, form.load_today


def write(
    form: Format,
    message: Message,
    *,
    message_id: str,
    ts_ns: int,
    source: str,
    epoch: int,
    seq: int,
    corr: str,
    cause: str,
    key: str,
    deadline_ns: int,
    traceparent: str,
) -> bytes:
    """Write an envelope without building one: the way of every send."""
    head = (
        f',"id":{_quote(message_id)},"ts":{ts_ns},"src":{_quote(source)},"ep":{epoch},"seq":{seq},"corr":{_quote(corr)}'
        f',"cause":{_quote(cause)},"key":{_quote(key)},"exp":{deadline_ns},"tp":{_quote(traceparent)},"data":'
    )
    return b"%b%b%b}" % (form.opening, head.encode(), form.dump(message))


def encode(envelope: Envelope) -> bytes:
    """Write an envelope as today's version of its type."""
    return write(
        format_of(envelope.data),
        envelope.data,
        message_id=envelope.id,
        ts_ns=envelope.ts_ns,
        source=envelope.source,
        epoch=envelope.epoch,
        seq=envelope.seq,
        corr=envelope.corr,
        cause=envelope.cause,
        key=envelope.key,
        deadline_ns=envelope.deadline_ns,
        traceparent=envelope.traceparent,
    )


def decode(raw: bytes) -> Envelope:
    """Read an envelope of any version that this build knows.

    Raises:
        CorruptData: the bytes are no envelope, of an unknown type or version, or their data do not fit.
    """
    form = _BY_OPENING.get(raw[: raw.find(b',"id"')])
    try:
        return form.load_today(raw) if form is not None else _decode_slowly(raw)
    except ValidationError as error:
        raise CorruptData(f"a message does not fit its type: {_first(error)}: {_show(raw)}") from None


def _decode_slowly(raw: bytes) -> Envelope:
    """Read what an older build or a person wrote: other versions, other orders of fields, spaces."""
    try:
        wire = from_json(raw)
    except ValueError as error:
        raise CorruptData(f"a message is not JSON ({error}): {_show(raw)}") from None
    if not isinstance(wire, dict) or not isinstance(wire.get("data"), dict) or not isinstance(wire.get("v"), int):
        raise CorruptData(f"a message is no envelope (type, v and data are needed): {_show(raw)}")
    form = FORMATS.get(str(wire.get("type")))
    if form is None:
        raise CorruptData(
            f"message type {wire.get('type')!r} is unknown to this build; update this service: {_show(raw)}"
        )
    return form.load_older(wire)


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"


def _show(raw: bytes) -> str:
    return repr(raw[:_SHOWN])


def version_of(message: Message) -> int:
    """Return the version that is written for a message today."""
    return BY_CLASS[type(message)].version
