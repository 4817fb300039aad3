#!/usr/bin/env bash
# polars 2.1.0: `meta.root_names()` lists the columns that an expression reads, but not those that `pl.col` is given
# together. `pl.col("a", "b")`, `pl.col(["a"])` and `pl.max("a", "b")` have none, and `pl.col("a", "b") + pl.col("c")`
# has "c" alone, which looks complete. The expression knows the names, as its repr shows them, and of `pl.struct("a",
# "b")` it has both. Who loads, checks or hashes just the columns that an expression needs, leaves some out.
#
# Seen: the roots of six expressions, each of which reads "a".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/roots.py" <<'PYTHON'
import polars as pl

for text in (
    'pl.col("a") + pl.col("b")',
    'pl.struct("a", "b")',
    'pl.col("a", "b")',
    'pl.col(["a"])',
    'pl.max("a", "b")',
    'pl.col("a", "b") + pl.col("c")',
):
    print(text, eval(text).meta.root_names())
PYTHON
"$place/venv/bin/python" "$place/roots.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
pl.col("a") + pl.col("b") ['a', 'b']
pl.struct("a", "b") ['a', 'b']
pl.col("a", "b") []
pl.col(["a"]) []
pl.max("a", "b") []
pl.col("a", "b") + pl.col("c") ['c']
SEEN
