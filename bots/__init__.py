"""The strategies, one file each, found by `omega.plugins.strategies`. Run by the runner and the back-test."""
