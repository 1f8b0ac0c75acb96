"""Ports that are kept for processes that will listen on them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from omega.runtime.ports import HeldPorts


@pytest.fixture(name="ports")
def ports_fixture() -> HeldPorts:
    return HeldPorts()


def test_held_ports_are_distinct_and_never_given_to_another(ports: HeldPorts) -> None:
    """Nobody who asks the kernel for any free port is given a held one, however often he asks."""
    held = {ports.take() for _ in range(200)}
    asked = []
    for _ in range(3000):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            asked.append(other.getsockname()[1])
    ports.close()

    assert len(held) == 200
    assert not held & set(asked)


async def test_held_port_is_listened_on_by_number_again_and_again(ports: HeldPorts) -> None:
    """The process for which a port is kept listens on it, also after a restart."""
    port = ports.take()
    for _ in range(2):
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        server.close()
        await server.wait_closed()
    ports.close()


def test_closed_ports_can_be_taken_by_anybody(ports: HeldPorts) -> None:
    port = ports.take()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))

    ports.close()

    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
