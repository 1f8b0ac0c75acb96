"""The candle lake: recorded bars as checked columns, from files or from `LAKE/venue/symbol/timeframe/YEAR.parquet`.

For the back-test, research and `omega data`. Reads with Arrow alone; nothing here runs in a bot's container.
"""

from omega.storage.lake.audit import Audit, audit
from omega.storage.lake.digest import content_hash, file_hash
from omega.storage.lake.files import CandleFile, open_candles
from omega.storage.lake.funding import read_funding
from omega.storage.lake.gaps import Gap, gaps
from omega.storage.lake.intake import Imported, Survey, import_file, resample_series
from omega.storage.lake.lineage import Entry, Origin
from omega.storage.lake.merge import Disagreement
from omega.storage.lake.read import read_market
from omega.storage.lake.resample import Resampled, resample
from omega.storage.lake.store import Lake, Prefer, Series, Written
from omega.storage.lake.year_file import YearMeta

__all__ = [
    "Audit",
    "CandleFile",
    "Disagreement",
    "Entry",
    "Gap",
    "Imported",
    "Lake",
    "Origin",
    "Prefer",
    "Resampled",
    "Series",
    "Survey",
    "Written",
    "YearMeta",
    "audit",
    "content_hash",
    "file_hash",
    "gaps",
    "import_file",
    "open_candles",
    "read_funding",
    "read_market",
    "resample",
    "resample_series",
]
