"""The composition root of the runner and nothing else."""

import os
from pathlib import Path

from omega.runtime import run
from services.runner.service import RunnerService

RECORD_DIR = "OMEGA_RECORD_DIR"
"""Names a folder: the session of the bot is recorded there (`omega replay` reads it)."""


def main() -> None:
    """Run the service."""
    folder = os.environ.get(RECORD_DIR, "")
    record = Path(folder) if folder else None
    run(lambda settings, bus: RunnerService(settings=settings, bus=bus, record=record), name="runner")


if __name__ == "__main__":
    main()
