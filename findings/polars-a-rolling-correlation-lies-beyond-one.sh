#!/usr/bin/env bash
# polars 2.1.0: `rolling_corr` and `rolling_cov` take the mean of products less the product of means, so that the digits of a
# number's mean are lost from its variation. With a spread of 1, coefficients are off in the second digit from a mean of ten
# millions on; at a hundred millions they are below -2 and above 3, where a correlation lies within -1 and 1. Counters,
# identifiers, amounts in cents and times in seconds or milliseconds since 1970 have such means. Nothing warns, and no value is nan.
#
# `corr` over the same rows, also within `rolling(...).agg(...)`, keeps its digits, and so do `rolling_var` and `rolling_std`.
# Subtract a constant near the mean before, which changes no correlation.
#
# Seen: two series of 200 rows, one the other plus noise, windows of 30: the range of the coefficients by what was added to both.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/windows.py" <<'PYTHON'
import random

import polars as pl

draws = random.Random(0)
base = [draws.gauss(0, 1) for _ in range(200)]
noisy = [value + draws.gauss(0, 1) for value in base]
for offset in (0.0, 1e6, 1e7, 1e8):
    rows = pl.DataFrame({"row": range(200), "a": base, "b": noisy}).with_columns(pl.col("a", "b") + offset)
    rolled = rows.select(r=pl.rolling_corr("a", "b", window_size=30))["r"].drop_nulls()
    grouped = rows.rolling("row", period="30i").agg(r=pl.corr("a", "b"))["r"][29:]
    print(f"{offset:.0e} | rolling_corr {rolled.min():.3f} to {rolled.max():.3f}", end=" ")
    print(f"| corr {grouped.min():.3f} to {grouped.max():.3f}")
PYTHON
"$place/venv/bin/python" "$place/windows.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
0e+00 | rolling_corr 0.488 to 0.811 | corr 0.488 to 0.811
1e+06 | rolling_corr 0.488 to 0.812 | corr 0.488 to 0.811
1e+07 | rolling_corr 0.505 to 0.821 | corr 0.488 to 0.811
1e+08 | rolling_corr -3.557 to 4.340 | corr 0.488 to 0.811
SEEN
