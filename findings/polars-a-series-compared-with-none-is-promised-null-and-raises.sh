#!/usr/bin/env bash
# polars 2.1.0: a Series compared with None by == or != warns that this "always results in null", and then results in
# nothing: it raises, and what it raises depends on the dtype. As an expression the same comparison does give null.
#
# Seen: NotImplementedError for Boolean, TypeError for Int64, Float64 and String, each after that warning; null for the
# expression.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$place/venv/bin/python" - > "$place/seen" <<'PYTHON'
import warnings

import polars as pl

for values in ([True, None], [1, None], [1.5, None], ["a", None]):
    series = pl.Series("x", values)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = (series != None).to_list()  # noqa: E711
        except (NotImplementedError, TypeError) as error:
            result = type(error).__name__
        said = any("always result in null" in str(each.message) for each in caught)
    print(series.dtype, "warned of null:", said, "got:", result)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print("expression:", pl.DataFrame({"x": [True, None]}).select(pl.col("x") != None)["x"].to_list())  # noqa: E711
PYTHON
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
Boolean warned of null: True got: NotImplementedError
Int64 warned of null: True got: TypeError
Float64 warned of null: True got: TypeError
String warned of null: True got: TypeError
expression: [None, None]
SEEN
