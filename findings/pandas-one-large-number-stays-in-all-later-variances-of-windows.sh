#!/usr/bin/env bash
# pandas 2.3.3: `rolling(...).var()` and `.std()` add the number that enters the window and subtract the one that leaves it. What
# a large number took of the digits of the smaller ones beside it doesn't come back when it leaves: the error stays in each later
# window of the series, however far away. After one 1e9, as a placeholder for unknown or a counter's fault, the variance of 0.1,
# 0.2, 0.3 is 128 instead of 0.01, to the end of the column. The mean, which is compensated, and `min` and `max` are right.
#
# river 0.26.1 has the same number from `utils.Rolling(stats.Var)`, and it goes on for as long as the stream does. polars' is right.
# A band of mean and three deviations then finds nothing any more. Put out of range values to nan before the window, not after it.
#
# Seen: the last variance of a thousand rows that repeat 0.1, 0.2, 0.3, without and with a 1e9 in the first.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3 numpy==2.4.6 river==0.26.1 polars==2.1.0
cat > "$place/window.py" <<'PYTHON'
import pandas as pd
import polars as pl
from river import stats, utils

usual = [0.1, 0.2, 0.3] * 333
for name, first in (("usual", 0.1), ("1e9 first", 1e9)):
    values = [first, *usual]
    river = utils.Rolling(stats.Var, window_size=3)
    for value in values:
        river.update(value)
    last = {
        "pandas": pd.Series(values).rolling(3).var().iloc[-1],
        "pandas, of the last rows": pd.Series(values[-10:]).rolling(3).var().iloc[-1],
        "river": river.get(),
        "polars": pl.Series(values).rolling_var(3)[-1],
    }
    print(name, *(f"{library} {variance:.3f}" for library, variance in last.items()), sep=" | ")
PYTHON
"$place/venv/bin/python" "$place/window.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "pandas 2.3.3: as described"
usual | pandas 0.010 | pandas, of the last rows 0.010 | river 0.010 | polars 0.010
1e9 first | pandas 128.007 | pandas, of the last rows 0.010 | river 128.007 | polars 0.010
SEEN
