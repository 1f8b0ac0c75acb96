"""One file an analysis; found by the registry `omega.plugins.analyses`.

A file imports what it computes with inside its function, so that Discord and the service can name analyses cheaply.
"""
