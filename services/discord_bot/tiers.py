"""Who may do what: our own map from role ids to tiers, asked on every interaction.

Names and Discord permissions decide nothing.
"""

from collections.abc import Iterable
from enum import IntEnum

from omega.config import DiscordBot


class Tier(IntEnum):
    """Each tier includes the ones before it."""

    NONE = 0
    VIEWER = 1
    TRADER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The tier as people write it."""
        return self.name.lower()


def tier(name: str) -> Tier:
    """Return a tier by its word."""
    return Tier[name.upper()]


def tier_of(settings: DiscordBot, user_id: int, role_ids: Iterable[int]) -> Tier:
    """Return the highest tier that a member's roles give; without a listed role it is the default tier."""
    if str(user_id) in settings.elevated_users:
        return Tier.ADMIN
    held = [tier(settings.tiers[str(role)]) for role in role_ids if str(role) in settings.tiers]
    return max(held, default=tier(settings.default_tier))
