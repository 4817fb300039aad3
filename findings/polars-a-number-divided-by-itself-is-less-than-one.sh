#!/usr/bin/env bash
# polars 2.1.0: a column that is divided by a number is multiplied by the number's reciprocal, which is faster and rounds
# twice. Half of all quotients are other floats than division gives by the rule that Python, numpy, pandas, pyarrow and
# DuckDB keep, and which polars itself keeps where it divides by a column. 49 / 49.0 is 0.9999999999999999, so that a share
# of all isn't 1, a filter for `== 1` finds no row, and a cast to integers gives 0. Whole numbers, which are divided as
# floats, do the same. `//` and `%` by a number take the same way: 1 // 0.1 is 10, which is 9 in Python, as 0.1 is a bit
# more than a tenth, and 0.3 % 0.1 lies below 0.
#
# Its documentation of `/` has no word on it. A feature that is computed with a constant in training and with a column in
# the service, or by another library, is another number.
#
# Seen: for 1 to 200 divided by themselves as a constant and as a column, those that aren't 1; and how many of 100,000
# quotients by 49 are numpy's.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6
cd "$place"
cat > quotients.py <<'PYTHON'
import numpy as np
import polars as pl

numbers = pl.DataFrame({"x": np.arange(1.0, 201.0)})
x = pl.col("x")
for name, frame in (("floats", numbers), ("integers", numbers.cast(pl.Int64))):
    by_constant = [n for n in range(1, 201) if frame.select(x / n)["x"][n - 1] != 1]
    by_column = frame.select(x / x)["x"].to_numpy()
    print(name, "by a constant not 1:", by_constant, "| by a column:", int((by_column != 1).sum()))
share = numbers.select(x / 49.0)["x"]
print("49 of 49", share[48], "| rows with 1:", int((share == 1).sum()), "| as an integer", share.cast(pl.Int64)[48])
tenths = pl.DataFrame({"x": [0.3, 1.0]}).select(x // 0.1, rest=x % 0.1)
print("0.3 and 1 by 0.1: polars", *tenths.rows(), "Python", (0.3 // 0.1, 0.3 % 0.1), (1.0 // 0.1, 1.0 % 0.1))
draws = np.random.default_rng(0).normal(size=100_000)
quotients = pl.DataFrame({"x": draws}).select(x / 49.0, column=x / pl.Series(np.full(100_000, 49.0)))
for column in quotients.columns:
    share_of_equal = np.mean(quotients[column].to_numpy() == draws / 49.0)
    print(f"as numpy's, by a {'constant' if column == 'x' else 'column'}: {share_of_equal:.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore quotients.py > seen
diff - seen <<'SEEN' && echo "polars 2.1.0: as described"
floats by a constant not 1: [49, 98, 103, 107, 161, 187, 196, 197] | by a column: 0
integers by a constant not 1: [49, 98, 103, 107, 161, 187, 196, 197] | by a column: 0
49 of 49 0.9999999999999999 | rows with 1: 0 | as an integer 0
0.3 and 1 by 0.1: polars (3.0, -5.551115123125783e-17) (10.0, 0.0) Python (2.0, 0.09999999999999998) (9.0, 0.09999999999999995)
as numpy's, by a constant: 0.48
as numpy's, by a column: 1.00
SEEN
