"""The gateway's composition root and nothing else."""

from omega.runtime import run
from services.gateway.service import GatewayService
from services.gateway.venues._lean import use_lean_ccxt

if __name__ == "__main__":
    use_lean_ccxt()
    run(lambda settings, bus: GatewayService(settings=settings, bus=bus), name=GatewayService.name)
