"""The voices of the farm, one file each, and the renderer that speaks with them. Used by discord_bot."""

from personas._render import EVENTS, label, lines_of, render, slots, voice

__all__ = ["EVENTS", "label", "lines_of", "render", "slots", "voice"]
