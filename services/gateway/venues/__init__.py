"""One file an exchange; each registers its adapter with `omega.plugins.venue`. Discovered by the gateway's service."""
