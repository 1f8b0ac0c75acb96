"""The composition for one machine: the same service processes that the containers run. Used by `omega up` alone."""

from omega.cli.farm.composition import Farm, FarmOptions

__all__ = ["Farm", "FarmOptions"]
