"""Fakes, real test servers and contract suites, shipped as public API for the tests of plug-ins and services."""
