#!/usr/bin/env bash
# fastparquet 2026.9.0, pandas 2.3.3, pyarrow 25.0.1: dates of a Parquet file become numbers of nanoseconds, which end in
# 2262. A date beyond is neither an error nor missing: it wraps round, and 31 December 9999, by which databases say that
# something has no end, becomes 29 March 1816. All that was valid has expired. Dates before 1677 become ones to come.
# pyarrow reads the same file, by the same function of pandas, as dates of Python's; timestamps, which both read in the
# file's own unit, are right.
#
# Seen: four dates of a file that pyarrow has written, by each engine.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  fastparquet==2026.9.0 pandas==2.3.3 pyarrow==25.0.1 numpy==2.4.6
cd "$place"
cat > dates.py <<'PYTHON'
import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

dates = [datetime.date(2026, 1, 1), datetime.date(2262, 4, 11), datetime.date(9999, 12, 31), datetime.date(1600, 1, 1)]
times = [datetime.datetime(date.year, date.month, date.day) for date in dates]
pq.write_table(pa.table({"until": dates, "time": times}), "until.parquet")
for engine in ("pyarrow", "fastparquet"):
    frame = pd.read_parquet("until.parquet", engine=engine)
    print(engine, "dates", *[str(date)[:10] for date in frame.until], "| times", *[str(time)[:10] for time in frame.time])
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore dates.py > seen
diff - seen <<'SEEN' && echo "fastparquet 2026.9.0: as described"
pyarrow dates 2026-01-01 2262-04-11 9999-12-31 1600-01-01 | times 2026-01-01 2262-04-11 9999-12-31 1600-01-01
fastparquet dates 2026-01-01 2262-04-11 1816-03-29 2184-07-20 | times 2026-01-01 2262-04-11 9999-12-31 1600-01-01
SEEN
