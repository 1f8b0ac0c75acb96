"""The tables of the gateway's journal. Read by `journal.Journal` alone."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (bot TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  client_id TEXT PRIMARY KEY,
  intent_id TEXT NOT NULL UNIQUE,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  side TEXT NOT NULL,
  size TEXT NOT NULL,
  role TEXT NOT NULL,
  reduce_only INTEGER NOT NULL,
  stop TEXT,
  target TEXT,
  ref_price TEXT NOT NULL,
  bar_ts_ns INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  corr TEXT NOT NULL,
  state TEXT NOT NULL,
  filled TEXT NOT NULL,
  order_id TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_ns INTEGER NOT NULL,
  latency_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_by_order_id ON orders (order_id);
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (state);
CREATE TABLE IF NOT EXISTS plans (
  client_id TEXT PRIMARY KEY,
  order_id TEXT NOT NULL,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  kind TEXT NOT NULL,
  size TEXT NOT NULL,
  trigger TEXT NOT NULL,
  live INTEGER NOT NULL,
  leg TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS plans_by_order_id ON plans (order_id);
CREATE INDEX IF NOT EXISTS plans_live ON plans (live) WHERE live = 1;
CREATE TABLE IF NOT EXISTS guards (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  leg TEXT NOT NULL,
  side INTEGER NOT NULL,
  size TEXT NOT NULL,
  stop TEXT,
  target TEXT,
  UNIQUE (bot, symbol, leg)
);
CREATE TABLE IF NOT EXISTS stop_moves (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  intent_id TEXT NOT NULL UNIQUE,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  stop TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  outcome TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS fills (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  trade_id TEXT NOT NULL UNIQUE,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  client_id TEXT NOT NULL,
  ts_ns INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS fills_by_client_id ON fills (client_id);
CREATE INDEX IF NOT EXISTS fills_by_symbol ON fills (symbol, ts_ns);
CREATE TABLE IF NOT EXISTS funding (
  funding_id TEXT NOT NULL,
  bot TEXT NOT NULL,
  symbol TEXT NOT NULL,
  amount TEXT NOT NULL,
  ts_ns INTEGER NOT NULL,
  fill_seq INTEGER NOT NULL,
  PRIMARY KEY (funding_id, bot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  corr TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (sent, seq);
CREATE TABLE IF NOT EXISTS commands (
  command_id TEXT PRIMARY KEY, stage TEXT NOT NULL, detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, at_ns INTEGER NOT NULL) WITHOUT ROWID;
"""
