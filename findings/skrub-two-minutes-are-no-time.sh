#!/usr/bin/env bash
# skrub 0.11.0, pandas 2.3.3: `DatetimeEncoder`, and so `TableVectorizer` and `tabular_pipeline`, make columns of numbers of a
# date with time, by default down to the hour and with "total_seconds", the seconds since 1970, for the order and the rest. It is
# float32, which has 24 bits: of today's 1.8 billion seconds it keeps steps of 128. All times of two minutes are one number. The
# minutes aren't in any other column: which of two events came first, or how long apart they were, can't be learned below that.
# `resolution="second"` adds minutes and seconds as columns, and leaves total_seconds as it is. Its page calls it the total number
# of seconds since the epoch, and says in a note that all columns are float32.
#
# Seen: how many different rows come of the 3,600 seconds of an hour, by TableVectorizer as it is; the type and the steps of
# total_seconds; and of how many seconds each is off at most.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skrub==0.11.0 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cat > "$place/seconds.py" <<'PYTHON'
import numpy as np
import pandas as pd
from skrub import TableVectorizer

hour = pd.DataFrame({"at": pd.date_range("2026-11-30 12:00", periods=3600, freq="s")})
codes = TableVectorizer().fit_transform(hour)
kept = codes["at_total_seconds"]
true = hour["at"].astype("int64") / 1e9
print("columns that differ:", *(name for name in codes if codes[name].nunique() > 1))
print(f"{len(codes.drop_duplicates())} different rows of {len(codes)}, {kept.dtype}")
print(f"steps of {np.diff(np.unique(kept.astype(float)))[0]:.0f} s, off by up to {(kept.astype(float) - true).abs().max():.0f} s")
PYTHON
"$place/venv/bin/python" -W ignore "$place/seconds.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skrub 0.11.0: as described"
columns that differ: at_total_seconds
30 different rows of 3600, float32
steps of 128 s, off by up to 64 s
SEEN
