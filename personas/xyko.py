"""Xyko: technical and exact, number by number, without adjectives.

The default voice of notices and reports.
"""

from omega.plugins import persona

persona(
    "xyko",
    tone="precise: number, unit, source, age; no adjectives; states uncertainty",
    traits={"formality": 0.8, "verbosity": 0.4, "warmth": 0.1, "jargon": 0.8, "emoji": 0.0, "numeracy": 1.0},
    lines={
        "trade.entered": (
            "Entry filled: {side} {size} {symbol} at {price} ({bot}).",
            "{bot} opened {side} {size} {symbol}; average price {price}.",
        ),
        "trade.won": (
            "Exit filled: {size} {symbol} at {price}; net {pnl} ({bot}).",
            "{bot} closed {size} {symbol} at {price}, net result {pnl}.",
        ),
        "trade.lost": (
            "Exit filled: {size} {symbol} at {price}; net {pnl} ({bot}).",
            "{bot} closed {size} {symbol} at {price}, net result {pnl}.",
        ),
        "risk.halted": "Entries halted on {account}. Cause: {reason}. Exits and stops remain active.",
        "risk.released": "Halt on {account} released by {by}. Entries are evaluated again from the next bar.",
        "notices.missed": "{notices} notices were collapsed into this one; the ledger has each of them.",
        "report.status": (
            "{trading} of {bots} bots trade; net result {pnl}.",
            "Farm state: {bots} bots, {trading} trading, net {pnl}.",
        ),
        "report.positions": "{positions} open positions; {naked} without a whole stop at the venue.",
        "report.cosmic": "{factors} factors measured. No effect on returns is proven.",
        "report.analysis": "{analysis} of {symbol}: {findings} findings, the evidence beside them; read that first.",
    },
)
