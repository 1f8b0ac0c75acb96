"""The gateway: the only door to money.

One process serves one exchange account; started by `python -m services.gateway`.
"""
