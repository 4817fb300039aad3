#!/usr/bin/env bash
# evidently 0.7.23, pandas 2.3.3: where types aren't declared, a column of one of pandas' nullable dtypes (Int64,
# Float64), or of small unsigned integers, is no column: a report on drift has neither a line nor a warning for it, and
# the share of drifted columns is one of those that are left. `convert_dtypes`, `dtype_backend="numpy_nullable"` and
# `to_numeric(..., downcast="unsigned")` make such columns. Declared as a number, the unsigned ones are looked at, and
# the nullable ones end in an AttributeError.
#
# Seen, of two columns that both moved far, the second in one dtype after the other: the columns in the report, and
# those with both declared.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > columns.py <<'PYTHON'
import re
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

generator = np.random.default_rng(0)
reference = pd.DataFrame({"a": generator.normal(size=500), "b": generator.integers(0, 100, 500)})


def find_columns(dtype: str, definition: DataDefinition | None) -> str:
    """The columns that a report on drift has, or what it raises."""
    frames = (frame.astype({"b": dtype}) for frame in (reference + 150, reference))
    try:
        run = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(frame, definition) for frame in frames))
        return " ".join(re.findall(r"ValueDrift\(column=(\w+)", str(run.dict()["metrics"])))
    except AttributeError:
        return "AttributeError"


for dtype in ("int64", "int32", "Int64", "Float64", "uint8", "uint16"):
    declared = DataDefinition(numerical_columns=["a", "b"])
    print(dtype, "|", find_columns(dtype, None), "| declared:", find_columns(dtype, declared))
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" columns.py > seen
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
int64 | a b | declared: a b
int32 | a b | declared: a b
Int64 | a | declared: AttributeError
Float64 | a | declared: AttributeError
uint8 | a | declared: a b
uint16 | a | declared: a b
SEEN
