#!/usr/bin/env bash
# datasets 5.2.0, pyarrow 25.0.1: `with_format("numpy")` hands out what is stored as arrays. A row by itself has the numbers as
# they are stored. A batch or a column of them has float64 as float32, and whole numbers as well where one of the batch is
# missing: then they are floats first, to hold nan, and float32 in the end. Keys above 16,777,216 become others: 20 neighbours are
# eleven numbers, and which of them are wrong depends on a row that is missing in the same batch. So a join of predictions made by
# batches finds other rows than one made row by row, and seconds since 1970 are up to a minute off. `with_format("pandas")` keeps
# both. The docs of formats don't speak of it; `with_format("numpy", dtype=None)` keeps float64.
#
# Seen: type and values of a key, a time and an amount in the first row, in a batch without and with a missing key, and the number
# of different keys among 20; and by pandas.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  datasets==5.2.0 pyarrow==25.0.1 numpy==2.4.6 pandas==2.3.3
cat > "$place/keys.py" <<'PYTHON'
import numpy as np
from datasets import Dataset

keys = [20_000_001 + number for number in range(20)]
rows = Dataset.from_dict({
    "key": [*keys, None],
    "seconds": [1_796_040_001.0] * 21,
    "amount": [1234567.89] * 21,
})
arrays = rows.with_format("numpy")
for name, seen in (("row", arrays[0]), ("batch", arrays[:20]), ("batch with a missing key", arrays[:21])):
    first = {column: np.atleast_1d(values)[0] for column, values in seen.items()}
    print(f"{name}:", ", ".join(f"{column} {value.dtype} {value:.2f}" for column, value in first.items()))
    if name != "row":
        print("  different keys:", len(set(seen["key"][:20].tolist())))
frame = rows.with_format("pandas")[:21]
print("pandas:", frame["key"][0], frame["seconds"][0], frame["amount"][0], "different keys:", frame["key"].nunique())
wide = rows.with_format("numpy", dtype=None)[:21]
print("dtype=None:", wide["key"].dtype, wide["key"][0], wide["amount"][0])
PYTHON
HF_HUB_OFFLINE=1 "$place/venv/bin/python" -W error::RuntimeWarning "$place/keys.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "datasets 5.2.0: as described"
row: key int64 20000001.00, seconds float64 1796040001.00, amount float64 1234567.89
batch: key int64 20000001.00, seconds float32 1796040064.00, amount float32 1234567.88
  different keys: 20
batch with a missing key: key float32 20000000.00, seconds float32 1796040064.00, amount float32 1234567.88
  different keys: 11
pandas: 20000001.0 1796040001.0 1234567.89 different keys: 20
dtype=None: float64 20000001.0 1234567.89
SEEN
