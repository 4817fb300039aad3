#!/usr/bin/env bash
# apache-hamilton 1.90.0: with `with_cache()` a node isn't computed again where its code and its inputs are those of an earlier
# run. Inputs are compared by a fingerprint of what they hold. Of a frame, of pandas or polars, it is that of the rows' values
# without the names of the columns: where prices and costs change places, by a rename or a loader that was mended, the mean price
# is read from the cache and is that of what are costs now. Of pandas, only the last of the rows with one label in the index
# counts, and labels repeat in frames that were put together. Of an array it is its bytes, without shape and dtype: (3, 2) has as
# many columns as (2, 3) had. Nothing warns; without the cache each is right. The code calls it a unique data version. Its authors
# have mended that for arrays and polars since; no release has it.
#
# Seen: what the node gives, and what it should, for a frame, for its columns renamed, and for one changed value in a row whose
# label repeats; and the number of columns of two arrays of zeros.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  apache-hamilton==1.90.0 pandas==2.3.3 numpy==2.4.6 polars==2.1.0
cd "$place"
cat > dataflow.py <<'PYTHON'
from typing import Any


def mean_price(rows: Any) -> float:
    return float(rows["price"].mean())


def width(matrix: Any) -> int:
    return matrix.shape[1]
PYTHON
cat > names.py <<'PYTHON'
import dataflow
import numpy as np
import pandas as pd
import polars as pl
from hamilton import driver

flow = driver.Builder().with_modules(dataflow).with_cache("cache").build()
swapped = {"price": "cost", "cost": "price"}
rows = {"price": [10.0, 20.0, 30.0], "cost": [1.0, 2.0, 3.0]}
pandas, repeated = pd.DataFrame(rows), pd.DataFrame(rows, index=[0, 0, 1])
for name, frame in (
    ("pandas", pandas),
    ("pandas, renamed", pandas.rename(columns=swapped)),
    ("polars", pl.DataFrame(rows)),
    ("polars, renamed", pl.DataFrame(rows).rename(swapped)),
    ("labels repeat", repeated),
    ("labels repeat, first price is 70", repeated.assign(price=[70.0, 20.0, 30.0])),
):
    print(f"{name}: {flow.execute(['mean_price'], inputs={'rows': frame})['mean_price']}, should be {frame['price'].mean()}")
for matrix in (np.zeros((2, 3)), np.zeros((3, 2))):
    print(f"{matrix.shape}: {flow.execute(['width'], inputs={'matrix': matrix})['width']} columns")
PYTHON
"$place/venv/bin/python" names.py 2> errors > seen
diff - seen <<'SEEN' && echo "apache-hamilton 1.90.0: as described"
pandas: 20.0, should be 20.0
pandas, renamed: 20.0, should be 2.0
polars: 20.0, should be 20.0
polars, renamed: 20.0, should be 2.0
labels repeat: 20.0, should be 20.0
labels repeat, first price is 70: 20.0, should be 40.0
(2, 3): 3 columns
(3, 2): 3 columns
SEEN
