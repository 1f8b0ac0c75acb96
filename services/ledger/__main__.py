"""Start the ledger: `python -m services.ledger`."""

from omega.runtime import run
from services.ledger import LedgerService

if __name__ == "__main__":
    run(lambda settings, bus: LedgerService(settings=settings, bus=bus), name="ledger")
