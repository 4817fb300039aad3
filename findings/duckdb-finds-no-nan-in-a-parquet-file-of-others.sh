#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, pyarrow 25.0.1: nan among the numbers of a Parquet file that polars or pyarrow has
# written. Parquet's statistics leave nan out, as its specification asks. DuckDB takes them at their word, though nan is
# its largest number: `isnan(x)` and `x > 5` find no row, and the maximum of pyarrow's file is 3. Of the table that is
# made of such a file, of the frame itself and of a file that DuckDB has written, the same queries find it; polars finds
# it in each file.
#
# A check for missing numbers so passes on the very files it was made for. `read_parquet(..., can_have_nan = true)`
# cures it; the default has become false.
#
# Seen: the rows of [1, 2, 3, nan] that `isnan(x)` and `x > 5` find, and `max(x)`.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==25.0.1
cd "$place"
cat > missing.py <<'PYTHON'
import duckdb
import polars as pl
import pyarrow.parquet

frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, float("nan")]})
frame.write_parquet("polars.parquet")
pyarrow.parquet.write_table(frame.to_arrow(), "pyarrow.parquet")


def query(question: str):
    """The one value that a query has for an answer."""
    return duckdb.sql(question).fetchall()[0][0]


duckdb.sql("create table numbers as select * from 'polars.parquet'")
duckdb.sql("copy numbers to 'duckdb.parquet'")
tolerant = "read_parquet('polars.parquet', can_have_nan = true)"
for source in ("'polars.parquet'", "'pyarrow.parquet'", tolerant, "'duckdb.parquet'", "numbers", "frame"):
    found = [query(f"select count(*) from {source} where {which}") for which in ("isnan(x)", "x > 5")]
    print(source, *found, query(f"select max(x) from {source}"))
nan, number = pl.col("x").is_nan(), pl.col("x") > 5
print("polars", *(pl.scan_parquet("pyarrow.parquet").filter(which).collect().height for which in (nan, number)))
PYTHON
"$place/venv/bin/python" missing.py > seen
diff - seen <<'SEEN' && echo "duckdb 2.0.1: as described"
'polars.parquet' 0 0 nan
'pyarrow.parquet' 0 0 3.0
read_parquet('polars.parquet', can_have_nan = true) 1 1 nan
'duckdb.parquet' 1 1 nan
numbers 1 1 nan
frame 1 1 nan
polars 1 1
SEEN
