"""Every version of every message that was ever written stays readable, and the generated documents stay true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omega.bus import SPECS, Spec, decode, encode
from omega.bus.docs import documents, edges, orphans, stale
from omega.bus.versions import old_versions

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "messages"
FILES = sorted(GOLDEN.glob("*.json"))


@pytest.mark.req("4.20")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_message_of_any_version_parses(path: Path):
    """A golden file is never deleted and always parses."""
    envelope = decode(path.read_bytes())

    assert envelope.id == "01JVNS4P00A1B2C3D4E5F6G7H8"
    assert envelope.type == path.stem.rsplit(".v", 1)[0]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_golden_message_of_today_is_what_is_written(spec: Spec):
    """Today's version writes exactly its golden file: an unnoticed change of the wire shows here."""
    path = GOLDEN / f"{spec.name}.v{spec.version}.json"
    golden = path.read_bytes()

    assert json.loads(encode(decode(golden))) == json.loads(golden)


@pytest.mark.req("4.20")
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_golden_message_exists_for_every_version(spec: Spec):
    """Every version that was ever written has its golden file."""
    wanted = {f"{spec.name}.v{version}.json" for version in (*old_versions(spec.name), spec.version)}

    assert wanted <= {path.name for path in FILES}


@pytest.mark.req("1.89", "3.23")
def test_documents_match_the_code():
    """Schemas, AsyncAPI and topic map are what the code says (python -m omega.bus.docs --write)."""
    assert stale(ROOT) == []
    assert {path.name for path in (ROOT / "docs/reference/messages").glob("*.json")} == {
        path.name for path in documents() if path.parent.name == "messages"
    }


@pytest.mark.req("1.40", "2.100", "4.22")
def test_topic_map_every_edge_has_two_ends():
    """No message without a producer, a consumer and a topic; no topic that two messages trim differently."""
    assert orphans() == []
    assert len(list(edges())) > len(SPECS)
