"""The confirm buttons.

Alone in their view, their state in the custom_id and on the bus, so that they work after a restart.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING, Any, Self

import discord

if TYPE_CHECKING:
    from services.discord_bot.client import FarmClient

_TEMPLATE = r"cf:1:(?P<nonce>[A-Za-z0-9_-]{8,40}):(?P<answer>[yn])"


class ConfirmButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_TEMPLATE):
    """Yes or no to one question."""

    def __init__(self, nonce: str, *, yes: bool, label: str) -> None:
        style = discord.ButtonStyle.danger if yes else discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"cf:1:{nonce}:{'y' if yes else 'n'}"))
        self.nonce = nonce
        self.yes = yes

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the pressed button from what Discord sends back."""
        del interaction
        label = item.label if isinstance(item, discord.ui.Button) and item.label else "Confirm"
        return cls(match["nonce"], yes=match["answer"] == "y", label=label)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand the press over; an exception here would show the user nothing, so it is told."""
        client: FarmClient = interaction.client
        if not client.front.first_time(interaction):
            return
        over = False
        try:
            await client.front.press(interaction, self.nonce, yes=self.yes)
            over = True
        except asyncio.CancelledError:
            over = True
            raise
        finally:
            if not over:
                await client.front.broken(interaction, sys.exc_info()[1], "confirm")


def question_view(nonce: str, label: str) -> discord.ui.View:
    """Build the two buttons under a question.

    Only DynamicItems stand here: when a view with others times out, discord.py forgets their class.
    """
    view = discord.ui.View(timeout=None)
    view.add_item(ConfirmButton(nonce, yes=True, label=label))
    view.add_item(ConfirmButton(nonce, yes=False, label="Cancel"))
    return view
