"""Compare two folders of Parquet as bags of rows: same rows, same number of times, whatever the files' names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of the left folder that the right one lacks, and the other way round."""

    left_rows: int
    right_rows: int
    only_left: int
    only_right: int
    sample: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """True when both folders hold the same bag of rows."""
        return self.only_left == self.only_right == 0


def compare_parquet(left: Path, right: Path, exclude: tuple[str, ...] = ()) -> Difference:
    """Compare every Parquet file below `left` with those below `right`, Hive partitions as columns.

    Raises:
        duckdb.Error: The folders' columns or types differ.
    """
    with duckdb.connect() as con:
        for name, folder in (("l", left), ("r", right)):
            if next(folder.rglob("*.parquet"), None) is None:
                raise FileNotFoundError(f"no Parquet file below {folder}")
            listed = ", ".join(f'"{column}"' for column in exclude)
            columns = f"* exclude ({listed})" if exclude else "*"
            con.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).create_view(f"{name}_raw")
            con.execute(f"create view {name} as select {columns} from {name}_raw")
        count = {n: con.execute(f"select count(*) from {n}").fetchone()[0] for n in ("l", "r")}
        only = {
            n: con.execute(f"select to_json(x)::varchar from (from {n} except all from {m}) x").fetchall()
            for n, m in (("l", "r"), ("r", "l"))
        }
    sample = tuple(f"only left:  {row[0]}" for row in only["l"][:3])
    sample += tuple(f"only right: {row[0]}" for row in only["r"][:3])
    return Difference(count["l"], count["r"], len(only["l"]), len(only["r"]), sample)
