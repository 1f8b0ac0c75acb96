"""Slash commands, one file an area; `omega.plugins.commands` finds them."""
