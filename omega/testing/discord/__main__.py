"""Runs the local Discord as its own process.

Prints the variables that aim a bot at it as one JSON line, then serves until a signal.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from omega.errors import ConfigError
from omega.testing.discord.server import LocalDiscord
from omega.testing.discord.world import World


async def serve(discord: LocalDiscord) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await discord.start()
    sys.stdout.write(json.dumps(discord.environment) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await discord.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m omega.testing.discord", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 takes a free one")
    parser.add_argument("--world", type=Path, help="YAML file with guild, roles, channels and members")
    given = parser.parse_args(arguments)
    try:
        world = World.load(given.world) if given.world else World.default()
        asyncio.run(serve(LocalDiscord(world, host=given.host, port=given.port)))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen on {given.host}:{given.port}: {error}; choose another --port\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
