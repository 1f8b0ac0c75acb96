"""The local Discord.

REST v10 and gateway v10 on loopback, so that an unmodified bot is driven end to end without the internet.
"""

from omega.testing.discord.interactions import Interaction
from omega.testing.discord.messages import Message
from omega.testing.discord.refusals import ImpossibleActError
from omega.testing.discord.server import LocalDiscord
from omega.testing.discord.world import Channel, Member, Role, World

__all__ = ["Channel", "ImpossibleActError", "Interaction", "LocalDiscord", "Member", "Message", "Role", "World"]
