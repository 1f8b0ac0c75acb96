"""The simulator as its own process: alone with one command, loud when it cannot start, back as it was after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import ccxt.pro as ccxtpro
import pytest

from omega.testing.servers import free_port
from services.simulator.exchange import load_exchange
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server

ROOT = Path(__file__).parents[3]
BTC = "BTC/USDT:USDT"
REST = ["spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta"]


def environment() -> dict[str, str]:
    """A stranger's environment: no setting, no Redis."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OMEGA_")}


def get(port: int, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    running: list[subprocess.Popen[bytes]] = []

    async def launch(port: int, admin: int, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.simulator", "--port", str(port), "--admin-port", str(admin), *more]
        process = await asyncio.to_thread(
            subprocess.Popen, command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.append(process)
        for _ in range(200):
            try:
                await asyncio.to_thread(get, admin, "/clock")
            except OSError:
                assert process.poll() is None, "the simulator ended at once"
                await asyncio.sleep(0.1)
            else:
                return process
        raise AssertionError("the simulator did not open its ports")

    yield launch
    for process in running:
        process.kill()
        process.wait(30)


def client_of(port: int) -> Any:
    url, ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    ws = {name: f"{ws_url}/v2/ws/{name}" for name in ("public", "private")}
    return ccxtpro.bitget(
        {
            "apiKey": "demo-key",
            "secret": "demo-secret",
            "password": "demo-pass",
            "urls": {"api": {**dict.fromkeys(REST, url), "ws": ws, "demo": ws}},
            "enableRateLimit": False,
            "options": {"uta": False, "defaultType": "swap", "fetchMarkets": {"types": ["swap", "spot"]}},
        }
    )


@pytest.mark.req("0.31")
async def test_simulator_alone_serves_a_stranger_and_stops_cleanly(start: Any) -> None:
    port, admin = free_port(), free_port()
    process = await start(port, admin)
    client = client_of(port)
    try:
        await client.load_markets()
        await client.create_order(BTC, "market", "buy", 0.01, None, {"stopLoss": {"triggerPrice": 80_000}})
        assert (await client.fetch_positions([BTC]))[0]["contracts"] == 0.01
        plans = await client.fetch_open_orders(BTC, None, None, {"trigger": True, "planType": "profit_loss"})
        assert plans[0]["triggerPrice"] == 80_000
    finally:
        await client.close()

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 0


async def test_simulator_killed_comes_back_with_orders_and_clock(start: Any, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    options = ("--speed", "lockstep", "--state", str(tmp_path / "inputs.log"))
    process = await start(port, admin, *options)
    client = client_of(port)
    try:
        await client.load_markets()
        await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "a"})
        await asyncio.to_thread(get, admin, "/step", "POST")
        await client.create_order(BTC, "limit", "buy", 0.01, 92_000, {"clientOrderId": "b"})
        before = await asyncio.to_thread(get, admin, "/ledger")

        process.kill()
        process.wait(30)
        await start(port, admin, *options)

        assert await asyncio.to_thread(get, admin, "/ledger") == before
        assert [order["clientOrderId"] for order in await client.fetch_open_orders(BTC)] == ["b"]
        with pytest.raises(Exception, match="40786"):
            await client.create_order(BTC, "limit", "buy", 0.01, 92_000, {"clientOrderId": "b"})
    finally:
        await client.close()


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.simulator", "--port", "0", "--admin-port", "0", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=30, check=False)


def test_port_in_use_ends_with_one_paragraph_and_status_3() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = ended("--port", str(taken.getsockname()[1]))

    assert result.returncode == 3
    assert "cannot listen on 127.0.0.1" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (("--symbols", "NOPEUSDT"), "no candles for NOPEUSDT", 2),
        (("--start", "2031-01-01T00:00:00Z"), "the replay cannot start at", 2),
        (("--data", "/nonexistent"), "no candle file", 2),
    ],
)
def test_wrong_option_ends_with_one_paragraph_and_status_2(arguments: tuple[str, ...], says: str, status: int) -> None:
    result = ended(*arguments)

    assert result.returncode == status
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_broken_candles_end_with_file_row_and_column(tmp_path: Path) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    (folder / "BTCUSDT-1m.csv").write_text("ts,open,high,low,close,volume\n1746403200000,1,1,1,nan,1\n")

    result = ended("--data", str(tmp_path), "--symbols", "BTCUSDT")

    assert result.returncode == 2, "a person has to mend the file: starting again does not help"
    assert "BTCUSDT-1m.csv, row 1, column close" in result.stderr


async def test_full_disk_ends_the_simulator_with_one_paragraph(tmp_path: Path) -> None:
    """A file-size limit stands for the full disk."""
    admin, log = free_port(), tmp_path / "inputs.log"
    command = f"ulimit -f 1; exec {sys.executable} -m services.simulator --port 0 --admin-port {admin}"
    process = await asyncio.create_subprocess_shell(
        f"trap '' XFSZ; {command} --speed lockstep --state {log}",
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    ended_early = asyncio.create_task(process.communicate())
    for _ in range(400):
        try:
            await asyncio.to_thread(get, admin, "/step", "POST")
        except OSError:
            if ended_early.done():
                break
            await asyncio.sleep(0.05)

    errors = (await asyncio.wait_for(ended_early, 60))[1].decode()

    assert process.returncode == 3
    assert "cannot write" in errors
    assert "Free space" in errors
    assert log.read_bytes().count(b'"step"') > 10


async def test_stop_that_breaks_at_a_socket_still_closes_both_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(load_exchange(SimulatorOptions(speed=0)), host="127.0.0.1", port=0, admin_port=0)
    await server.start()

    async def breaks() -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(server.hub, "close", breaks)
    with pytest.raises(ConnectionResetError):
        await server.stop()

    for port in (server.port, server.admin_port):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
