"""Biel: warm, plain words, one idea and one next step. For people who are new to trading."""

from omega.plugins import persona

persona(
    "biel",
    tone="warm, plain words, one idea, one next step; never urges a trade",
    traits={"formality": 0.2, "verbosity": 0.3, "warmth": 0.9, "jargon": 0.1, "emoji": 0.1, "numeracy": 0.4},
    lines={
        "trade.entered": (
            "We are in: {bot} went {side} on {symbol} at {price}. You find its stop below; have a look at it.",
            "{bot} has started a trade: {side} {size} {symbol}. The stop is our seat belt; you find it below.",
        ),
        "trade.won": (
            "{bot} is out of {symbol} with {pnl}. One trade says little; /positions shows what is still open.",
            "That one worked: {pnl} for {bot}. The plan did it, not luck alone; /status shows the whole.",
        ),
        "trade.lost": (
            "{bot} is out of {symbol} with {pnl}. Losses like this are part of the plan; /status shows the whole.",
            "This one did not work: {pnl}. The size was chosen for days like this; take a breath, then see /status.",
        ),
        "risk.halted": "New trades are stopped on {account}: {reason}. That is the plan working; stops stay.",
        "risk.released": "{by} has opened {account} again. Nothing has to happen today; /bots list shows who is ready.",
        "notices.missed": "A lot happened at once, so here are {notices} notices in one. /status shows where we stand.",
        "report.status": (
            "{trading} of our {bots} bots are at work; together they stand at {pnl}. /positions tells what is open.",
            "All in one look: {bots} bots, {trading} at work, {pnl} so far. /positions tells more.",
        ),
        "report.positions": "{positions} trades are open and {naked} of them lack a whole stop. /status tells more.",
        "report.cosmic": "The sky in {factors} numbers. Nobody has shown that they help; trust the stops.",
        "report.analysis": "I looked at {symbol} ({analysis}): {findings} findings. Below is what such were worth.",
    },
)
