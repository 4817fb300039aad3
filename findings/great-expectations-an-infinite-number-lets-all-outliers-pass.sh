#!/usr/bin/env bash
# great-expectations 1.24.1, pandas 2.3.3: `ExpectColumnValueZScoresToBeLessThan` is there to find outliers: numbers too many
# standard deviations from the mean. Of a column that holds an inf, as a ratio with a zero below or a logarithm gives, mean and
# deviation are no numbers, each z score is nan, and nan isn't above the threshold: the expectation succeeds, though there is a
# 1,000 among ones and twos, for which it fails without the inf, and the inf itself. The worst number there is so switches the
# check off. A nan is left out, as missing. Nothing is raised.
#
# Seen: success and number of unexpected values, for ones, twos and a 1,000, with an inf, and with a nan.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check great-expectations==1.24.1 pandas==2.3.3 numpy==2.4.6
cat > "$place/infinite.py" <<'PYTHON'
import great_expectations as gx
import pandas as pd

context = gx.get_context(mode="ephemeral")
batches = context.data_sources.add_pandas("frames").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
outliers = gx.expectations.ExpectColumnValueZScoresToBeLessThan(column="x", threshold=3, double_sided=True)
numbers = [1.0] * 50 + [2.0] * 50 + [1000.0]
for name, more in (("as they are", []), ("with inf", [float("inf")]), ("with nan", [float("nan")])):
    batch = batches.get_batch({"dataframe": pd.DataFrame({"x": numbers + more})})
    seen = batch.validate(outliers)
    print(f"{name}: success {seen.success}, unexpected {seen.result['unexpected_count']}")
PYTHON
GX_ANALYTICS_ENABLED=false "$place/venv/bin/python" "$place/infinite.py" 2> "$place/errors" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "great-expectations 1.24.1: as described"
as they are: success False, unexpected 1
with inf: success True, unexpected 0
with nan: success False, unexpected 1
SEEN
