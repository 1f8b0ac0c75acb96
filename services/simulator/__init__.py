"""A local exchange that speaks Bitget v2 over REST and WebSocket, filled by the farm's own rules from recorded candles.

Run it with `python -m services.simulator --port 8700`; any unmodified ccxt client trades against it.
"""
