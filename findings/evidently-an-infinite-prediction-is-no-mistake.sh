#!/usr/bin/env bash
# Evidently 0.7.23: the metrics of a regression leave out each row whose label or prediction is nan or infinite, and don't say how
# many. A model that answers inf for the rows that it got wrong, as one that exponentiates a logarithm does, or nan, has an error
# of 0 and an R2 of 1: the worse it gets, the better it looks. scikit-learn raises a ValueError for both. A test of MAE passes.
#
# `RowCount` counts the rows that were left out too, and `MissingValueCount` of the predictions in the same report says 0, for nan
# as well. Count such predictions before the report is run.
#
# Seen: three right predictions beside one that is 9 instead of 4, or inf, or nan: MAE, RMSE, R2, and what the two counts say.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > errors.py <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Regression, Report  # noqa: E402
from evidently.metrics import MAE, RMSE, MissingValueCount, R2Score, RowCount  # noqa: E402
from sklearn.metrics import mean_absolute_error  # noqa: E402

columns = DataDefinition(numerical_columns=["target", "prediction"], regression=[Regression()])
for last in (9.0, float("inf"), float("nan")):
    frame = pd.DataFrame({"target": [1.0, 2.0, 3.0, 4.0], "prediction": [1.0, 2.0, 3.0, last]})
    report = Report([MAE(), RMSE(), R2Score(), RowCount(), MissingValueCount(column="prediction")])
    run = report.run(Dataset.from_pandas(frame, data_definition=columns), None)
    mae, rmse, r2, rows, missing = (metric["value"] for metric in run.dict()["metrics"])
    try:
        other = mean_absolute_error(frame["target"], frame["prediction"])
    except ValueError as error:
        other = error
    print(f"{last}: MAE {mae['mean']}, RMSE {rmse}, R2 {r2}, rows {rows}, missing {missing['count']} | scikit-learn: {other}")
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" errors.py > seen
diff - seen <<'SEEN' && echo "Evidently 0.7.23: as described"
9.0: MAE 1.25, RMSE 2.5, R2 -4.0, rows 4.0, missing 0.0 | scikit-learn: 1.25
inf: MAE 0.0, RMSE 0.0, R2 1.0, rows 4.0, missing 0.0 | scikit-learn: Input contains infinity or a value too large for dtype('float64').
nan: MAE 0.0, RMSE 0.0, R2 1.0, rows 4.0, missing 0.0 | scikit-learn: Input contains NaN.
SEEN
