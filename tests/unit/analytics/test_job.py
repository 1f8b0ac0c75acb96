"""Which bars a job reads: those of the bus, behind the recorded ones that lead up to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from omega.domain import Bar, timeframe_ns
from services.analytics.job import Job, Recorded, _bars

HOUR_NS = timeframe_ns("1h")
BEGIN_NS = 1_700_000_000 // 3600 * HOUR_NS


def bar(k: int) -> Bar:
    close = 100.0 + k % 7
    return Bar(BEGIN_NS + k * HOUR_NS, close, close + 1.0, close - 1.0, close, 5.0)


def job(folder: Path, live: range, recorded: range, *, most: int = 1_000) -> Job:
    rows = [f"{one.ts_ns // 10**9},{one.open},{one.high},{one.low},{one.close},5" for one in map(bar, recorded)]
    (folder / "BTCUSDT-1h.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    market = Recorded("BTC-USDT.P", "1h", tuple(map(bar, live)))
    now_ns = BEGIN_NS + (live.stop or recorded.stop) * HOUR_NS
    return Job("fib", "BTC-USDT.P", "1h", {}, now_ns, most, market, data=str(folder))


@pytest.mark.parametrize(
    ("live", "recorded", "most", "first", "n"),
    [
        (range(50, 60), range(50), 1_000, 0, 60),  # they meet
        (range(50, 60), range(55), 1_000, 0, 60),  # they overlap
        (range(50, 60), range(100), 1_000, 0, 60),  # a replay: what is recorded of later is not read
        (range(50, 60), range(50), 20, 40, 20),
        (range(50, 60), range(40), 1_000, 50, 10),  # longer, but it ended before: none of now
        (range(0), range(40), 1_000, 0, 40),
    ],
)
def test_job_reads_the_bars_that_lead_up_to_now(
    live: range, recorded: range, most: int, first: int, n: int, tmp_path: Path
) -> None:
    asked = job(tmp_path, live, recorded, most=most)
    bars, told = _bars(asked, asked.market)

    assert bars is not None
    assert told is not None
    assert bars.ts.tolist() == [BEGIN_NS + k * HOUR_NS for k in range(first, first + n)]
    assert told.age_s == 0.0
