#!/usr/bin/env bash
# polars 2.1.0, pyarrow 25.0.1, duckdb 2.0.1: one value of 20 digits in a column of a CSV file, such as an account or a
# card's number, makes the column Int128, even where UInt64 would hold it, with no setting and no message. `write_parquet`
# then leaves a file that pyarrow doesn't open at all: neither the schema, nor the other columns can be read, so pandas
# and all that is built on Arrow can't either. DuckDB reads the other columns, and the numbers as sixteen bytes each.
#
# Seen: ArrowNotImplementedError for the schema and for a column that has small numbers only; BLOB in DuckDB.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==25.0.1 duckdb==2.0.1
cd "$place"
"$place/venv/bin/python" - > seen <<'PYTHON'
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

Path("accounts.csv").write_text("account,amount\n1234567890123456789,1\n12345678901234567890,2\n")
rows = pl.read_csv("accounts.csv")
print(rows.schema["account"], 12345678901234567890 < 2**64)
rows.write_parquet("accounts.parquet")
for read in (pq.read_schema, lambda path: pq.read_table(path, columns=["amount"])):
    try:
        read("accounts.parquet")
        print("read")
    except pa.ArrowNotImplementedError as error:
        print(error)
print(*duckdb.sql("SELECT * FROM 'accounts.parquet'").types)
PYTHON
diff - seen <<'SEEN' && echo "polars 2.1.0, pyarrow 25.0.1, duckdb 2.0.1: as described"
Int128 True
Integers with more than 64 bits not implemented
Integers with more than 64 bits not implemented
BLOB BIGINT
SEEN
