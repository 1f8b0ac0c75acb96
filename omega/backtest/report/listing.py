"""The whole list of trades as a file, Parquet or CSV by its ending. Called by `omega backtest --trades`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from omega.backtest.types import ExitKind, Result
from omega.errors import ConfigError, EnvironmentFault

ENDINGS: Final = (".parquet", ".csv")


def write_trades(path: Path, result: Result) -> None:
    """Write every leg; symbols and kinds of exit by name, and in Parquet also what made them.

    Raises:
        ConfigError: the name ends in neither.
        EnvironmentFault: the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: a list of trades ends in {' or '.join(ENDINGS)}")
    symbols = pa.array([result.symbols[number] for number in result.trades.symbol.tolist()], pa.string())
    kinds = pa.array([ExitKind(kind).name.lower() for kind in result.trades.exit_kind.tolist()], pa.string())
    table = result.trades.to_table()
    for name, column in (("symbol", symbols), ("exit_kind", kinds)):
        table = table.set_column(table.schema.get_field_index(name), name, column)
    about = {"strategy": result.strategy, "params": dict(result.params), "data_hash": result.data_hash}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            csv.write_csv(table, path)
        else:
            parquet.write_table(table.replace_schema_metadata({"omega": json.dumps(about)}), path, compression="zstd")
    except OSError as error:
        raise EnvironmentFault(f"cannot write the trades to {path}: {error}; name another file") from None
