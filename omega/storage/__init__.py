"""Where the farm keeps what must last: the ledger's database, and the lake of recorded candles."""
