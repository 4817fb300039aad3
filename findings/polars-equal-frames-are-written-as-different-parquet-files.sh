#!/usr/bin/env bash
# polars 2.1.0: without `row_group_size` the row groups of a Parquet file depend on how the frame's memory is chunked, which
# `equals` doesn't see. The documentation gives 512 squared rows as the default size.
#
# 700,000 rows in one chunk become 6 groups of 116,667 rows, the same rows in 14 chunks 7 groups of 100,000, so two frames
# that are equal give files of different bytes, and a content hash of a written file isn't one of its rows. With a
# `row_group_size` of one's own both files are the same.
#
# Seen: [116667, 116667, 116667, 116667, 116666, 116666] and [100000, 100000, 100000, 100000, 100000, 100000, 100000];
# with 131,072 rows a group the same bytes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==25.0.0
cat > "$place/groups.py" <<'PYTHON'
import io

import polars as pl
import pyarrow.parquet as pq


def write(frame: pl.DataFrame, **options: int) -> bytes:
    frame.write_parquet(file := io.BytesIO(), **options)
    return file.getvalue()


def list_group_sizes(content: bytes) -> list[int]:
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


whole = pl.DataFrame({"a": pl.int_range(700_000, eager=True)})
parts = pl.concat([whole.slice(start, 50_000) for start in range(0, 700_000, 50_000)], rechunk=False)
print(whole.equals(parts))
print(list_group_sizes(write(whole)), list_group_sizes(write(parts)))
print(write(whole, row_group_size=131_072) == write(parts, row_group_size=131_072))
PYTHON
"$place/venv/bin/python" "$place/groups.py" > "$place/seen"
cat > "$place/expected" <<'TEXT'
True
[116667, 116667, 116667, 116667, 116666, 116666] [100000, 100000, 100000, 100000, 100000, 100000, 100000]
True
TEXT
diff "$place/expected" "$place/seen" && echo "polars 2.1.0: as described"
