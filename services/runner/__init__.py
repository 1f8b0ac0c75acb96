"""The trading-bot container: hosts one bot. Bars in, decisions and intents out."""
