#!/usr/bin/env bash
# polars 2.1.0: sums of Float32 are taken in three ways. A column's is summed in blocks and is right; `list.sum` adds one number
# after the other in single precision, and `list.mean` divides that, so that the mean of a million numbers 0.1 is 0.101, and of ten
# millions 0.109. `sum` of a group lies between the two, while `mean` of the same group is right: sum and mean times count differ.
# `sum` over groups is right when collected in memory, and is the group's when streamed. Nothing warns. Embeddings, scores and
# prices are often kept as Float32; DuckDB, pyarrow and pandas sum the same column in double precision or in blocks.
#
# Cast to Float64 before a sum over many rows. One thread is used here, as the result depends on the number of threads too.
#
# Seen: two groups of a million rows 0.1 each: sums that should be 100,000, and means.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/sums.py" <<'PYTHON'
import polars as pl

x = pl.col("x")
rows = pl.LazyFrame({"group": [0, 1] * 1_000_000}).with_columns(x=pl.lit(0.1, pl.Float32))
both = {"sum": x.sum(), "mean": x.mean()}
columns = {
    "column": rows.filter(group=0).select(**both),
    "group_by": rows.group_by("group").agg(**both),
    "list": rows.group_by("group").agg(x).select(sum=x.list.sum(), mean=x.list.mean()),
    "over": rows.select(sum=x.sum().over("group"), mean=x.mean().over("group")),
}
for engine in ("in-memory", "streaming"):
    for name, query in columns.items():
        seen = query.collect(engine=engine).row(0, named=True)
        print(f"{engine} | {name} | sum {seen['sum']:.0f} | mean {seen['mean']:.4f}")
PYTHON
POLARS_MAX_THREADS=1 "$place/venv/bin/python" "$place/sums.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
in-memory | column | sum 100000 | mean 0.1000
in-memory | group_by | sum 100060 | mean 0.1000
in-memory | list | sum 100958 | mean 0.1010
in-memory | over | sum 100000 | mean 0.1000
streaming | column | sum 100000 | mean 0.1000
streaming | group_by | sum 100060 | mean 0.1000
streaming | list | sum 100958 | mean 0.1010
streaming | over | sum 100060 | mean 0.1000
SEEN
