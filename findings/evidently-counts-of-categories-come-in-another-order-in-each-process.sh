#!/usr/bin/env bash
# evidently 0.7.23, pandas 2.3.3: `UniqueValueCount` lists the categories in the order of a set of Python: neither by count
# nor by name nor as they come, and another one in each process, as strings hash otherwise in each. So two reports on
# equal data differ in their JSON, and whoever compares files, or looks from last week's report to this week's, finds
# changes where there are none.
#
# Seen: the same five counts in two orders for two values of PYTHONHASHSEED, with and without a reference.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3
cd "$place"
cat > report.py <<'PYTHON'
import json
import sys
import warnings

import pandas as pd

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import UniqueValueCount  # noqa: E402

definition = DataDefinition(categorical_columns=["place"])
names = ["north"] * 5 + ["south"] * 4 + ["east"] * 3 + ["west"] * 2 + ["coast"]
rows = Dataset.from_pandas(pd.DataFrame({"place": names}), definition)
reference = rows if sys.argv[1] == "reference" else None
run = Report([UniqueValueCount(column="place")]).run(rows, reference)
print(*(f"{name}={count:.0f}" for name, count in json.loads(run.json())["metrics"][0]["value"]["counts"].items()))
PYTHON
for way in reference alone; do
  for seed in 1 2; do
    PYTHONHASHSEED=$seed "$place/venv/bin/python" report.py "$way" | tail -1 > "$way.$seed"
  done
  echo "$way: $(cat "$way".? | sort -u | wc -l) order(s) of $(cat "$way".? | tr ' ' '\n' | sort -u | wc -l) counts" >> seen
done
cat reference.? alone.? >&2
printf 'reference: 2 order(s) of 5 counts\nalone: 2 order(s) of 5 counts\n' | diff - seen && echo "evidently 0.7.23: as described"
