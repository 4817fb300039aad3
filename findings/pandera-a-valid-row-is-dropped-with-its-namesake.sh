#!/usr/bin/env bash
# pandera 0.35.0, pandas 2.3.3: `drop_invalid_rows=True` drops the rows that a check refused by the label that they have in
# the frame's index. Labels needn't differ: frames that were put together by `pandas.concat` have 0, 1, 2 once for each
# part, and groups, joins and samples with replacement have them, too. All rows of that label go, the valid ones with the
# invalid one, and nothing says how many. With three parts a fault of one row in a hundred costs three. Reset the index
# before.
#
# Seen: positive numbers are asked for; of six numbers one is negative. What is left, with labels that repeat and with
# others.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pandera==0.35.0 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > rows.py <<'PYTHON'
import pandas as pd
import pandera.pandas as pa

schema = pa.DataFrameSchema({"amount": pa.Column(float, pa.Check.gt(0))}, drop_invalid_rows=True)
parts = [pd.DataFrame({"amount": [1.0, -5.0, 3.0]}), pd.DataFrame({"amount": [4.0, 5.0, 6.0]})]
for ignore_index in (False, True):
    frame = pd.concat(parts, ignore_index=ignore_index)
    print("labels", list(frame.index), "left", schema.validate(frame, lazy=True).amount.tolist())
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore rows.py > seen
diff - seen <<'SEEN' && echo "pandera 0.35.0: as described"
labels [0, 1, 2, 0, 1, 2] left [1.0, 3.0, 4.0, 6.0]
labels [0, 1, 2, 3, 4, 5] left [1.0, 3.0, 4.0, 5.0, 6.0]
SEEN
