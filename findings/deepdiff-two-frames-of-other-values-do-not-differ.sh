#!/usr/bin/env bash
# deepdiff 9.1.0, pandas 2.3.3: `DeepDiff` compares two objects, of any kind and depth, and is empty where they are equal; tests
# and checks of configurations, results and dictionaries of frames ask for just that. Of two frames of pandas with the same
# columns it is always empty, whatever the values and however many rows: a frame is iterated over, and what comes out of that are
# the names of its columns. A Series, an array and a frame of polars are compared by value, and so is a frame by `DeepHash` of the
# same package. Nothing warns, and its page says that it takes any object. A regression test of a pipeline's frames so passes
# whatever comes out.
#
# Seen: whether a difference is found between 1, 2 and 1, 5, and between two rows and three, by kind; and by DeepHash.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check deepdiff==9.1.0 pandas==2.3.3 numpy==2.4.6 polars==2.1.0
cat > "$place/frames.py" <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
from deepdiff import DeepDiff, DeepHash


def differs(first, second):
    return bool(DeepDiff({"metrics": first}, {"metrics": second}))


for kind in (pd.DataFrame, pl.DataFrame, dict):
    first, other, longer = (kind({"loss": values}) for values in ([1, 2], [1, 5], [1, 2, 3]))
    print(f"{kind.__module__} {kind.__name__}: {differs(first, other)} {differs(first, longer)}")
for kind in (pd.Series, np.array):
    print(f"{kind.__name__}: {differs(kind([1, 2]), kind([1, 5]))} {differs(kind([1, 2]), kind([1, 2, 3]))}")
first, other = (pd.DataFrame({"loss": values}) for values in ([1, 2], [1, 5]))
print("other columns:", differs(first, first.rename(columns={"loss": "error"})))
print("by DeepHash:", DeepHash(first)[first] != DeepHash(other)[other])
PYTHON
"$place/venv/bin/python" -W error "$place/frames.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "deepdiff 9.1.0: as described"
pandas.core.frame DataFrame: False False
polars.dataframe.frame DataFrame: True True
builtins dict: True True
Series: True True
array: True True
other columns: True
by DeepHash: True
SEEN
