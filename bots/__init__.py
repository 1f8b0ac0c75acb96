"""Strategies, one file each. Importing the package loads TA-Lib first, without what a bot has no use for.

TA-Lib imports pandas and polars where they are installed: 75 MB and half a second for every bot on the machine.
"""

import sys

_UNUSED = tuple(name for name in ("pandas", "polars") if name not in sys.modules)

sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]  # None is the import system's own "not here"
try:
    import talib  # noqa: F401
finally:
    for _name in _UNUSED:
        del sys.modules[_name]
