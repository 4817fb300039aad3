#!/usr/bin/env bash
# fsspec 2026.9.0: `filecache` with `check_files=True` is to ask at each opening whether the file at its source is still
# the same. It compares `ukey`, and that of HTTP is a hash of the address alone, whatever the server says of size and
# time. So what was read once is read for ever (without an expiry), though the same filesystem's `info` tells both.
# Of a local file, and of S3, `ukey` changes with the content, and the cache notices.
#
# Seen: of a file that has grown and is newer by years, HTTP gives the old content, a local one the new content.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5 requests==2.34.2
cd "$place"
"$place/venv/bin/python" - > seen <<'PYTHON'
import http.server
import os
import threading
from functools import partial
from pathlib import Path

import fsspec


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *said):
        pass


def read(url, cache):
    fsspec.filesystem("http", skip_instance_cache=True)
    options = {"check_files": True, "cache_storage": cache, "expiry_time": False, "skip_instance_cache": True}
    with fsspec.open(f"filecache::{url}", "r", filecache=options) as file:
        return file.read()


folder = Path("source")
folder.mkdir()
path = folder / "rows.csv"
path.write_text("old")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/rows.csv"
sources = {"http": url, "local": path.resolve().as_uri()}
before = {name: read(source, f"cache-{name}") for name, source in sources.items()}
size = fsspec.filesystem("http").info(url)["size"]
path.write_text("new and longer")
os.utime(path, (2e9, 2e9))
told = fsspec.filesystem("http", skip_instance_cache=True).info(url)
print("the server tells", size, told["size"], told["Last-Modified"])
for name, source in sources.items():
    print(name, "|", before[name], "|", read(source, f"cache-{name}"))
server.shutdown()
PYTHON
diff - seen <<'SEEN' && echo "fsspec 2026.9.0: as described"
the server tells 3 14 Wed, 18 May 2033 03:33:20 GMT
http | old | old
local | old | new and longer
SEEN
