#!/usr/bin/env bash
# feature-engine 1.9.4: `CyclicalFeatures` puts a number on a circle by its sine and cosine, so that the end lies beside the
# beginning. The circle's length is the largest value of the column, learned by `fit`. Hours go from 0 to 23, so that 23 and
# 0 are one point, and all other hours lie a bit wrong; minutes and weekdays are counted from 0, too. Months and days of the
# month are counted from 1 and come out right. Its guide shows hours 0 to 23 without another setting, and says of this
# example that each hour has a code of its own. Where the last hour doesn't occur in training the circle is shorter still,
# and nothing warns.
#
# A model can't tell the hour before midnight from the one after it. `max_values={"hour": 24}` is right.
#
# Seen: sine and cosine of three hours, learned from all hours, from those of a shop, and with the length given; and of
# months.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  feature-engine==1.9.4 pandas==2.3.3 numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1 statsmodels==0.15.0
cd "$place"
cat > hours.py <<'PYTHON'
import pandas as pd
from feature_engine.creation import CyclicalFeatures


def encode(column, numbers, shown, **options):
    encoder = CyclicalFeatures(**options).fit(pd.DataFrame({column: numbers}))
    codes = encoder.transform(pd.DataFrame({column: shown}))[[f"{column}_sin", f"{column}_cos"]].round(2) + 0.0
    return dict(zip(shown, map(tuple, codes.to_numpy().tolist()), strict=True))


print("all hours", encode("hour", range(24), [0, 12, 23]))
print("hours of a shop", encode("hour", range(8, 21), [0, 12, 20]))
print("length given", encode("hour", range(24), [0, 12, 23], max_values={"hour": 24}))
print("months", encode("month", range(1, 13), [1, 6, 12]))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore hours.py > seen
diff - seen <<'SEEN' && echo "feature-engine 1.9.4: as described"
all hours {0: (0.0, 1.0), 12: (-0.14, -0.99), 23: (0.0, 1.0)}
hours of a shop {0: (0.0, 1.0), 12: (-0.59, -0.81), 20: (0.0, 1.0)}
length given {0: (0.0, 1.0), 12: (0.0, -1.0), 23: (-0.26, 0.97)}
months {1: (0.5, 0.87), 6: (0.0, -1.0), 12: (0.0, 1.0)}
SEEN
