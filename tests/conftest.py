"""What holds for every test: the suite draws the same examples each time, `make explore` draws new ones."""

from __future__ import annotations

import os

from hypothesis import settings

# A build goes red for what a change broke, not for what chance found in it; finding is the task of `make explore`.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("OMEGA_TEST_EXPLORE") else "suite")
