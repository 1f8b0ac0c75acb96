"""The composition root of the runner and nothing else."""

from omega.runtime import run
from services.runner.service import RunnerService


def main() -> None:
    """Run the service."""
    run(lambda settings, bus: RunnerService(settings=settings, bus=bus), name="runner")


if __name__ == "__main__":
    main()
