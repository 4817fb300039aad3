#!/usr/bin/env bash
# MLflow 3.17.2, pandas 2.3.3: the digest of a dataset, by which a run says what it has learned from, is computed of the
# first 10,000 rows of a frame, and of its columns of numbers, and of text without a missing value. Of all others the name
# counts alone: labels that are all turned round, times a year later, texts in a column that has one null, and rows from the
# ten thousandth on can be other ones, and the digest is the same. An array's is that of its first 10,000 numbers, which are
# the first 50 rows where there are 200 columns. Its page calls it a hash or fingerprint of the dataset. That of the same
# frame in polars differs for each of these.
#
# Seen: whether the digest stays the same, for each such change, and for one in the first number.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  mlflow==3.17.2 pandas==2.3.3 numpy==2.4.6 polars==2.1.0 pyarrow==25.0.1
cd "$place"
cat > digests.py <<'PYTHON'
import mlflow.data
import numpy as np
import pandas as pd
import polars as pl

frame = pd.DataFrame(
    {
        "amount": np.arange(20_000.0),
        "returned": [True, False] * 10_000,
        "time": pd.date_range("2026-01-01", periods=20_000, freq="h"),
        "place": ["a"] * 19_999 + [None],
    }
)
changes = {
    "first number": frame.assign(amount=frame.amount.where(frame.index != 0, 7.0)),
    "labels": frame.assign(returned=~frame.returned),
    "times": frame.assign(time=frame.time + pd.Timedelta("365D")),
    "texts with a null": frame.assign(place=frame.place.replace("a", "b")),
    "rows from 10,000 on": frame.assign(amount=frame.amount.where(frame.index < 10_000, 0.0)),
}


def digest(table):
    return (mlflow.data.from_pandas if isinstance(table, pd.DataFrame) else mlflow.data.from_polars)(table).digest


for name, changed in changes.items():
    same = digest(frame) == digest(changed), digest(pl.from_pandas(frame)) == digest(pl.from_pandas(changed))
    print(f"{name}: same digest in pandas {same[0]}, in polars {same[1]}")
array = np.arange(200_000.0).reshape(1000, 200)
changed = np.where(np.arange(1000)[:, None] < 50, array, 0)
print("array from row 50 on: same digest", mlflow.data.from_numpy(array).digest == mlflow.data.from_numpy(changed).digest)
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore digests.py > seen
diff - seen <<'SEEN' && echo "MLflow 3.17.2: as described"
first number: same digest in pandas False, in polars False
labels: same digest in pandas True, in polars False
times: same digest in pandas True, in polars False
texts with a null: same digest in pandas True, in polars False
rows from 10,000 on: same digest in pandas True, in polars False
array from row 50 on: same digest True
SEEN
