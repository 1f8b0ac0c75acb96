"""The feeds behind fetched factors: one file a feed, one coordinator for all of them. Off by default but the market."""
