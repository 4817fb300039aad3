#!/usr/bin/env bash
# fsspec 2026.9.0: `rm`, `cat`, `get` and `copy` of one path expand it as a pattern, although a file of exactly that name is
# there. "part[1].csv" so means "part1.csv": that file is removed, read or fetched, and the one that was named stays.
# Where no file fits the pattern, a file that exists is not found. `exists` and `info` of the same path mean the file itself,
# and so do `rm_file`, `cat_file`, `get_file` and `cp_file`, which take paths only.
#
# Seen, in memory: `rm("/part[1].csv")` leaves "/part[1].csv" alone and takes "/part1.csv"; `cat` has the other's bytes.
# The file system of local files removes what is named, as it has an `rm` of its own, but `cat` is as here.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0
cat > "$place/try.py" <<'END'
import sys

import fsspec

NAMED, OTHER = "/part[1].csv", "/part1.csv"
memory = fsspec.filesystem("memory")
memory.pipe({NAMED: b"named", OTHER: b"other"})
print("exists:", memory.exists(NAMED), memory.info(NAMED)["name"])
print("cat_file:", memory.cat_file(NAMED))
print("cat:", memory.cat(NAMED))
memory.get(NAMED, f"{sys.argv[1]}/got/")
print("get:", open(f"{sys.argv[1]}/got/part1.csv").read())
memory.rm(NAMED)
print("rm leaves:", memory.ls("/", detail=False))
try:
    memory.cat(NAMED)
except FileNotFoundError:
    print("cat: not found")
END
cat > "$place/expected" <<'END'
exists: True /part[1].csv
cat_file: b'named'
cat: {'/part1.csv': b'other'}
get: other
rm leaves: ['/part[1].csv']
cat: not found
END
"$place/venv/bin/python" "$place/try.py" "$place" > "$place/seen"
diff "$place/expected" "$place/seen" && echo "fsspec 2026.9.0: as described"
