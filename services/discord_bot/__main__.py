"""The composition root of the Discord bot and nothing else."""

from omega.runtime import run
from services.discord_bot.service import DiscordBotService


def main() -> None:
    """Run the service."""
    run(lambda settings, bus: DiscordBotService(settings=settings, bus=bus), name="discord_bot")


if __name__ == "__main__":
    main()
