"""The composition root of the simulator and nothing else: `python -m services.simulator --port 8090`."""

from __future__ import annotations

import argparse
import os

from omega.bus import Bus, MemoryBus
from omega.config import Settings
from omega.runtime import run
from services.simulator.service import SimulatorService

_PATHS = {
    "host": "simulator.host",
    "port": "simulator.port",
    "admin_port": "simulator.admin_port",
    "speed": "simulator.speed",
    "data": "simulator.data_dir",
    "start": "simulator.start",
    "symbols": "simulator.symbols",
    "seed": "simulator.seed",
    "slippage": "simulator.slippage",
    "limits": "simulator.limits",
    "state": "simulator.state",
}


def main() -> None:
    """Run the simulator; options that are not its own go to the settings (`--env`, `--config-dir`, `--set`)."""
    parser = argparse.ArgumentParser(
        prog="python -m services.simulator",
        description="A local exchange that speaks Bitget v2, replaying recorded candles. Key demo-key, secret "
        "demo-secret, passphrase demo-pass.",
        epilog="Also: --env, --config-dir, --set PATH=VALUE, as every service.",
    )
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", help="port of REST and WebSocket; 0 takes a free one (8090)")
    parser.add_argument("--admin-port", help="port of the admin API; 0, or --port alone, takes a free one (8091)")
    parser.add_argument("--speed", help="1 is real time, 60 a minute a second, lockstep waits for POST /step")
    parser.add_argument("--data", help="folder with candles/SYMBOL-1m.parquet|csv and funding/SYMBOL-8h.csv")
    parser.add_argument("--start", help="first open minute of the replay, ISO 8601 (two days into the candles)")
    parser.add_argument("--symbols", nargs="+", help="symbols to list, as in BTCUSDT ETHUSDT")
    parser.add_argument("--seed", help="seed of the paths inside minutes")
    parser.add_argument("--slippage", help="what a market order pays over the price, a fraction")
    parser.add_argument("--limits", choices=("on", "off"), help="rate limits of the venue")
    parser.add_argument("--state", help="file that brings a killed simulator back as it was")
    parser.add_argument("--fill-gaps", action="store_true", help="carry the last close over missing minutes")
    given, rest = parser.parse_known_args()
    overrides = {
        path: ",".join(value) if isinstance(value, list) else str(value)
        for name, path in _PATHS.items()
        if (value := getattr(given, name)) is not None
    }

    if given.port is not None and given.admin_port is None:
        # Whoever names one port runs several simulators at once, and none of them may fail over the other.
        overrides["simulator.admin_port"] = "0"

    def service(settings: Settings, bus: Bus) -> SimulatorService:
        # An exchange knows nothing of the farm's bus; alone it needs no server at all.
        own = bus if "OMEGA_REDIS_URL" in os.environ else MemoryBus(source="simulator")
        return SimulatorService(settings=settings, bus=own, fill_gaps=given.fill_gaps)

    run(service, name="simulator", argv=rest, overrides=overrides)


if __name__ == "__main__":
    main()
