"""The worker process: `python -m services.analytics.work`. Started by the service alone."""

from omega.runtime.worker import work
from services.analytics.job import do

if __name__ == "__main__":
    work(do)
