#!/usr/bin/env bash
# utilsforecast 0.2.17, the metrics of statsforecast, mlforecast and neuralforecast: `mape` says that "the closer to zero an
# observed value is, the higher penalty MAPE loss assigns". Where the value is zero there is no penalty: the day is left out, and
# the mean is that of the others, so a forecast of 50 on each day without sales costs nothing and the model looks 10 percent off.
# Of the same numbers in a polars frame the result is nan. scikit-learn divides by the smallest number there is, which can't be
# overlooked. Nothing warns. Series with many zeros are what such forecasts are often made for.
#
# Seen: eight days, four without sales, 50 forecast for each of these and a tenth too much for the others: mape of a pandas and of
# a polars frame, wape for comparison, and whether scikit-learn's is above a million.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  utilsforecast==0.2.17 narwhals==2.29.0 polars==2.1.0 scikit-learn==1.9.1 numpy==2.4.6 pandas==2.3.3
cat > "$place/zeros.py" <<'PYTHON'
import pandas as pd
import polars as pl
from sklearn.metrics import mean_absolute_percentage_error
from utilsforecast.losses import mape, wape

sales = [0.0, 0, 0, 10, 20, 0, 30, 40]
columns = {"unique_id": ["shop"] * 8, "ds": range(8), "y": sales, "model": [1.1 * value or 50.0 for value in sales]}
for measure in (mape, wape):
    print(measure.__name__, *(f"{measure(kind(columns), ['model'])['model'][0]:.2f}" for kind in (pd.DataFrame, pl.DataFrame)))
print("scikit-learn above a million:", mean_absolute_percentage_error(sales, columns["model"]) > 1e6)
PYTHON
"$place/venv/bin/python" -W error "$place/zeros.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "utilsforecast 0.2.17: as described"
mape 0.10 nan
wape 2.10 2.10
scikit-learn above a million: True
SEEN
