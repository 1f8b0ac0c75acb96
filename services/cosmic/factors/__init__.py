"""The cosmic factors, one file each, found by the registry. Off by default and unproven, every one of them."""
