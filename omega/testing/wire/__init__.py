"""A local server that answers in an exchange's wire shapes and records what it was asked. Used by venue tests.

A fixture (`fixtures/NAME.json`) holds the shapes with slots; `WireServer` fills them from a small book. It is no
exchange: orders fill when told, nothing is matched, and signatures are not checked.
"""

from omega.testing.wire.book import WireBook, WireFill, WireOrder
from omega.testing.wire.fixture import Fixture, fixture
from omega.testing.wire.server import Asked, Fault, WireServer, wire_server

__all__ = ["Asked", "Fault", "Fixture", "WireBook", "WireFill", "WireOrder", "WireServer", "fixture", "wire_server"]
