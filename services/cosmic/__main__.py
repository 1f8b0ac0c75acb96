"""Start the cosmic service: `python -m services.cosmic`."""

from omega.runtime import run
from services.cosmic import CosmicFactorService

if __name__ == "__main__":
    run(lambda settings, bus: CosmicFactorService(settings=settings, bus=bus), name="cosmic")
