#!/usr/bin/env bash
# fastparquet 2026.9.0, pandas 2.3.3, pyarrow 25.0.1: durations are written to Parquet as times of the day. Parquet's times
# end before 24 hours; what is longer is written all the same. fastparquet itself reads its file as durations, by what it
# notes beside it, so that a test of what comes back passes. pyarrow and polars read times of the day: pyarrow has two hours
# for a day and two hours, and midnight for a day, polars null for both. Nanoseconds are cut off without a word too.
#
# Seen: four durations written by fastparquet, read by each.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  fastparquet==2026.9.0 pandas==2.3.3 pyarrow==25.0.1 numpy==2.4.6 polars==2.1.0
cd "$place"
cat > durations.py <<'PYTHON'
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

frame = pd.DataFrame({"took": pd.to_timedelta(["01:30:00", "1 days", "26:00:00", "00:00:00.000000999"])})
frame.to_parquet("took.parquet", engine="fastparquet")
print("written", *[str(value) for value in frame.took])
print("fastparquet", *[str(value) for value in pd.read_parquet("took.parquet", engine="fastparquet").took])
print("pyarrow", *[str(value) for value in pq.read_table("took.parquet")["took"].to_pylist()])
polars_column = pl.read_parquet("took.parquet")["took"]
print("polars", polars_column.dtype, *[str(value) for value in polars_column.cast(pl.String)])
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore durations.py > seen
diff - seen <<'SEEN' && echo "fastparquet 2026.9.0: as described"
written 0 days 01:30:00 1 days 00:00:00 1 days 02:00:00 0 days 00:00:00.000000999
fastparquet 0 days 01:30:00 1 days 00:00:00 1 days 02:00:00 0 days 00:00:00
pyarrow 01:30:00 00:00:00 02:00:00 00:00:00
polars Time 01:30:00 None None 00:00:00
SEEN
