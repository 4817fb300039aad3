#!/usr/bin/env bash
# Evidently 0.7.23: MAPE has a mean and a standard deviation. The mean is in percent, the deviation is that of fractions: errors
# of 10, 10, 10 and 20 % are 12.5 with a deviation of 0.05, instead of 5. Limits of mean and two deviations so hold nothing, and
# the report prints both side by side, as "12.5 (0.05)". MAE has both in one unit.
#
# Seen: mean and deviation of both, for labels of 100.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > percent.py <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Regression, Report  # noqa: E402
from evidently.metrics import MAE, MAPE  # noqa: E402

columns = DataDefinition(numerical_columns=["target", "prediction"], regression=[Regression()])
frame = pd.DataFrame({"target": 100.0, "prediction": [110.0, 90.0, 110.0, 120.0]})
run = Report([MAE(), MAPE()]).run(Dataset.from_pandas(frame, data_definition=columns), None)
mae, mape = (metric["value"] for metric in run.dict()["metrics"])
print(f"MAE {mae['mean']:g} ({mae['std']:g}), MAPE {mape['mean']:g} ({mape['std']:g})")
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" percent.py > seen
diff - seen <<'SEEN' && echo "Evidently 0.7.23: as described"
MAE 12.5 (5), MAPE 12.5 (0.05)
SEEN
