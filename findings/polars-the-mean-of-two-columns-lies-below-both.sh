#!/usr/bin/env bash
# polars 2.1.0: `mean_horizontal` of two columns of small integers is computed from a sum of their own type, which wraps round: the
# mean of 100 and 100 as Int8 is -28, and of 200 and 100 as UInt8 (grades, ages, pixels) 22. Its result is Float64, and every other
# mean is right: that of a column, of a group, of a list or array of the same two numbers. `sum`, too, is said to work on wider
# integers "to prevent overflow" for those types; `sum_horizontal` doesn't. Nothing warns. Cast to Float64 first.
#
# Seen: by type, mean_horizontal, the mean of the column and of the list of the two numbers, and the type that was returned.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/mean.py" <<'PYTHON'
import polars as pl

cases = ((pl.Int8, 100, 100), (pl.UInt8, 200, 100), (pl.Int16, 30_000, 20_000), (pl.UInt16, 60_000, 10_000))
for kind, first, second in cases:
    frame = pl.DataFrame({"a": [first], "b": [second]}, schema={"a": kind, "b": kind})
    across = frame.select(pl.mean_horizontal("a", "b")).to_series()
    column = pl.Series([first, second], dtype=kind).mean()
    listed = frame.select(pl.concat_list("a", "b").list.mean()).item()
    print(kind, across.item(), column, listed, across.dtype)
PYTHON
"$place/venv/bin/python" -W error "$place/mean.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
Int8 -28.0 100.0 100.0 Float64
UInt8 22.0 150.0 150.0 Float64
Int16 -7768.0 25000.0 25000.0 Float64
UInt16 2232.0 35000.0 35000.0 Float64
SEEN
