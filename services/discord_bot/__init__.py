"""The farm's face in Discord: slash commands, confirmations, notices.

One gateway session, no exchange key, no cluster right.
"""
