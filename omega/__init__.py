"""The shared library of the Omega Bot Farm; imports nothing from services, bots or personas."""

__version__ = "0.1.0"
