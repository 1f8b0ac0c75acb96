"""The REST half of the wire: one file a group of endpoints, bound to paths in `routes`."""
