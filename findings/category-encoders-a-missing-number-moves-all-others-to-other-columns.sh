#!/usr/bin/env bash
# category_encoders 2.11.2, pandas 2.3.3: `HashingEncoder` needs no list of the categories: a value's hash says which of the
# columns is 1. It hashes the text of the value as it stands in the frame. A column of whole numbers that lacks one is a column of
# floats to pandas, and 7 is hashed as "7.0" there: each shop, postcode or device of the batch goes to another column than in
# training, and the model reads it as another one. How a row is encoded so depends on the other rows of its batch, and nothing
# warns. Nor does a type of pandas help that keeps whole numbers beside missing ones, as Int64. The encoders that keep a list look
# the number up, and find it. Its page says that new values are taken by design. Make texts of the numbers before, by one rule.
#
# Seen: how many of 50 numbers, encoded into 32 columns in a batch that lacks a 51st, have the code that they have in one without
# gaps; by HashingEncoder, also of the numbers as Int64 and as texts, by TargetEncoder and by BinaryEncoder.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  category-encoders==2.11.2 pandas==2.3.3 numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1
cat > "$place/gap.py" <<'PYTHON'
import pandas as pd
from category_encoders import BinaryEncoder, HashingEncoder, TargetEncoder

labels = [shop % 7 for shop in range(50)]
whole, gap = pd.Series(range(50)), pd.Series([*range(50), None])
hashing = {"n_components": 32, "max_process": 1}
for kind, options, dtype in (
    (HashingEncoder, hashing, None),
    (HashingEncoder, hashing, "Int64"),
    (HashingEncoder, hashing, "string"),
    (TargetEncoder, {}, None),
    (BinaryEncoder, {}, None),
):
    before, after = (
        pd.DataFrame({"shop": shops.astype("Int64").astype(dtype) if dtype else shops}) for shops in (whole, gap)
    )
    encoder = kind(cols=["shop"], **options).fit(before, labels)
    equal = (encoder.transform(before).to_numpy() == encoder.transform(after).to_numpy()[:50]).all(axis=1)
    print(f"{kind.__name__} of {before['shop'].dtype} and {after['shop'].dtype}: {equal.sum()} of 50")
PYTHON
"$place/venv/bin/python" -W ignore "$place/gap.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "category_encoders 2.11.2: as described"
HashingEncoder of int64 and float64: 1 of 50
HashingEncoder of Int64 and Int64: 1 of 50
HashingEncoder of string and string: 50 of 50
TargetEncoder of int64 and float64: 50 of 50
BinaryEncoder of int64 and float64: 50 of 50
SEEN
