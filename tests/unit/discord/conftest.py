"""discord.py imports audioop on Python 3.11 and 3.12, which warns; every test here imports it through this once."""

import warnings

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
    import discord  # noqa: F401 - see above
