"""The gateway's composition root."""

from omega.runtime import run
from services.gateway.service import GatewayService

if __name__ == "__main__":
    run(lambda settings, bus: GatewayService(settings=settings, bus=bus), name=GatewayService.name)
