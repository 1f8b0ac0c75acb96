"""The bus as documents: JSON Schemas, AsyncAPI, topic map, made from the code. `python -m omega.bus.docs --check`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from omega.bus.codec import WIRE_NAMES
from omega.bus.messages import ANY, SPECS, MessageClass, Spec
from omega.bus.samples import samples
from omega.bus.topics import Topics

HERE = Path("docs/reference")
_ENVELOPE_DOCS = {
    "type": "message type; the wire puts it first",
    "v": "version of the type as it was written",
    "id": "ULID; the key of deduplication",
    "ts": "when it was sent, ns UTC",
    "src": "service and instance that sent it",
    "ep": "the sender's lease epoch, 0 without a lease",
    "seq": "counts up by one per source, epoch, topics and key; a hole is a lost message",
    "corr": "correlation id, the same from a bar to its fills",
    "cause": "id of the message that caused this one",
    "key": "what order is kept by",
    "exp": "drop it after this instant, ns UTC, 0 = never",
    "tp": "W3C traceparent, empty without a trace",
}
_NUMBERS = frozenset({"v", "ts", "ep", "seq", "exp"})


def schema(spec: Spec) -> dict[str, Any]:
    """Return the JSON Schema of a whole message as it stands on the wire."""
    data = TypeAdapter(spec.cls).json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = data.pop("$defs", {})
    head: dict[str, Any] = {
        name: {"type": "integer" if name in _NUMBERS else "string", "description": text}
        for name, text in _ENVELOPE_DOCS.items()
    }
    head["type"] = {"const": spec.name, "description": _ENVELOPE_DOCS["type"]}
    head["v"] = {"const": spec.version, "description": _ENVELOPE_DOCS["v"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "description": _first_line(spec.cls),
        "type": "object",
        "properties": {**head, "data": data},
        "required": list(WIRE_NAMES.values()),
        "$defs": definitions,
    }


def topic_templates(spec: Spec) -> tuple[str, ...]:
    """Return the topics of a message type, with the variable parts in braces."""
    topics = Topics("{env}")
    found: dict[str, None] = {}
    for sample in samples(spec.name):
        found.update(dict.fromkeys(topics.of(sample)))
    return tuple(_templated(topic) for topic in found)


def asyncapi() -> str:
    """Return the AsyncAPI 3 document of all topics and who sends and receives on them."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for spec in SPECS:
        for topic in topic_templates(spec):
            name = _channel_name(topic)
            channel = channels.setdefault(name, {"address": topic, "messages": {}})
            channel["messages"][spec.name] = {"$ref": f"#/components/messages/{spec.name}"}
            variables = [part[1:-1] for part in topic.split(":") if part.startswith("{")]
            channel["parameters"] = {variable: {"description": _VARIABLES[variable]} for variable in variables}
            for way, action in (("producers", "send"), ("consumers", "receive")):
                for service in getattr(spec, way):
                    operations[f"{service.replace(' ', '_')}.{action}.{spec.name}.{name}"] = {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{name}"},
                        "messages": [{"$ref": f"#/channels/{name}/messages/{spec.name}"}],
                    }
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Omega Bot Farm bus",
            "version": "1",
            "description": "Signals are on pub/sub, latest wins. Records are in a stream (field m) and on pub/sub, "
            "where the stream's entry id and a space stand before the same bytes.",
        },
        "defaultContentType": "application/json",
        "servers": {"redis": {"host": "redis:6379", "protocol": "redis", "description": "Redis 7.0 or Valkey"}},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                spec.name: {
                    "name": spec.name,
                    "summary": _first_line(spec.cls),
                    "tags": [{"name": spec.delivery.value}],
                    "payload": {"$ref": f"./messages/{spec.name}.v{spec.version}.json"},
                }
                for spec in SPECS
            }
        },
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def topic_map() -> str:
    """Return the table of every edge of the bus: topic, message, class, who sends, who reads."""
    lines = [
        "# Topics",
        "",
        "Made by `python -m omega.bus.docs --write`; a check fails on drift. `{env}` is `dev`, `paper` or `live`.",
        "",
        "| topic | message | class | kept | sent by | read by |",
        "|---|---|---|---|---|---|",
    ]
    for spec in SPECS:
        kept = f"about {spec.keep:,}" if spec.keep else "-"
        lines += [
            f"| `{topic}` | [`{spec.name}`](messages/{spec.name}.v{spec.version}.json) | {spec.delivery.value} "
            f"| {kept} | {', '.join(spec.producers)} | {', '.join(spec.consumers)} |"
            for topic in topic_templates(spec)
        ]
    lines += ["", "## Edges", "", "```mermaid", "flowchart LR"]
    lines += [f"  {_node(a)} -->|{name}| {_node(b)}" for a, name, b in edges()]
    return "\n".join([*lines, "```", ""])


def edges() -> Iterator[tuple[str, str, str]]:
    """Yield (producer, message type, consumer) for every edge of the bus."""
    for spec in SPECS:
        for producer in spec.producers:
            for consumer in spec.consumers:
                yield producer, spec.name, consumer


def orphans() -> list[str]:
    """Return what has no producer, no consumer or no topic, and what one message would trim away from another."""
    found = []
    for spec in SPECS:
        if not spec.producers or not spec.consumers:
            found.append(f"{spec.name} has no producer or no consumer")
        if not topic_templates(spec):
            found.append(f"{spec.name} has no topic")
        if (spec.delivery is MessageClass.RECORD) != (spec.keep > 0):
            found.append(f"{spec.name} is a {spec.delivery} and keeps {spec.keep} entries")
    kept: dict[str, dict[int, str]] = {}
    for spec in SPECS:
        for topic in topic_templates(spec):
            kept.setdefault(topic, {})[spec.keep] = spec.name
    found += [
        f"{topic} is trimmed to different lengths: {lengths}" for topic, lengths in kept.items() if len(lengths) > 1
    ]
    return found


def documents() -> dict[Path, str]:
    """Return every generated file and its text."""
    made = {HERE / "asyncapi.yaml": asyncapi(), HERE / "topics.md": topic_map()}
    for spec in SPECS:
        text = json.dumps(schema(spec), indent=2, ensure_ascii=False)
        made[HERE / "messages" / f"{spec.name}.v{spec.version}.json"] = text + "\n"
    return made


def stale(root: Path) -> list[Path]:
    """Return the files under `root` that differ from what the code says."""
    return [
        path
        for path, text in documents().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(argv: list[str] | None = None) -> int:
    """Write the documents, or tell which are stale (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m omega.bus.docs", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--check", action="store_true", help="name the files that are stale")
    group.add_argument("--write", action="store_true", help="write them")
    arguments = parser.parse_args(argv)
    behind = stale(arguments.root)
    if arguments.check:
        sys.stdout.writelines(f"stale: {path}; run python -m omega.bus.docs --write\n" for path in behind)
        return 1 if behind else 0
    for path in behind:
        target = arguments.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(documents()[path], encoding="utf-8")
        sys.stdout.write(f"written: {path}\n")
    return 0


_VARIABLES = {
    "env": "dev, paper or live",
    "venue": "the exchange, as in bitget",
    "account": "the account's name in the farm",
    "symbol": "the symbol in lower case, as in btc-usdt.p",
    "timeframe": "the length of a bar, as in 1m",
    "bot": "the bot's name",
    "factor": "the cosmic factor's name",
    "service": "the service's name",
    "instance": "one process of a service",
}


def _templated(topic: str) -> str:
    return topic.replace("<", "{").replace(">", "}")


def _channel_name(topic: str) -> str:
    return ".".join(part.strip("{}") for part in topic.split(":")[1:])


def _node(service: str) -> str:
    return "every" if service == ANY else service


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
