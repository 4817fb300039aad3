#!/usr/bin/env bash
# dataframely 3.1.2 with polars 2.1.0 and pydantic 2.14.4: one schema, two rules. `String(max_length=4)` counts bytes in
# a frame and characters in the pydantic model that `to_pydantic_model` makes of it, and `Decimal(precision=4)` isn't in
# the model at all.
#
# A service that checks requests with the model and rows with the schema accepts what its own data store rejects.
#
# Seen: "äöü" (3 characters, 6 bytes) and 123456.7 are accepted by the model; the frame's schema refuses the text, and
# polars can't put the number into the column.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check dataframely==3.1.2 polars==2.1.0 pydantic==2.14.4
cat > "$place/twice.py" <<'PYTHON'
from decimal import Decimal

import dataframely as dy
import polars as pl


class Text(dy.Schema):
    name = dy.String(max_length=4, nullable=False)


class Amount(dy.Schema):
    paid = dy.Decimal(precision=4, scale=1, nullable=False)


print("model:", Text.to_pydantic_model()(name="äöü").name, Amount.to_pydantic_model()(paid=Decimal("123456.7")).paid)
print("frame with the text is valid:", Text.is_valid(pl.DataFrame({"name": ["äöü"]})))
try:
    pl.Series(["123456.7"]).cast(pl.Decimal(4, 1))
    print("frame with the number: possible")
except pl.exceptions.InvalidOperationError:
    print("frame with the number: impossible")
PYTHON
PYTHONIOENCODING=utf-8 "$place/venv/bin/python" "$place/twice.py" > "$place/seen"
printf 'model: äöü 123456.7\nframe with the text is valid: False\nframe with the number: impossible\n' \
  | diff - "$place/seen" && echo "dataframely 3.1.2: as described"
