"""The `omega` command: one entry point, stable exit codes (0 fine, 1 a finding, 2 usage, 3 environment)."""

from omega.cli.app import main

__all__ = ["main"]
