#!/usr/bin/env bash
# s3fs 2026.9.0: cat_file of a whole object asks for its size first, to fetch parts of a large one side by side. So each
# small object costs two round trips (HEAD, GET), and half of the time that reading thousands of them takes is spent on
# the first. With max_concurrency=1, which is said to bound the parts of one transfer, the HEAD is left out.
#
# Seen: the methods of the requests for one object of five bytes, by default and with max_concurrency=1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0 'moto[server]==5.2.5'
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1
"$place/venv/bin/python" - >"$place/seen" <<'PYTHON'
import s3fs
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler

methods = []
WSGIRequestHandler.log_request = lambda handler, *_: methods.append(handler.command)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
for options in ({}, {"max_concurrency": 1}):
    store = s3fs.S3FileSystem(endpoint_url=url, skip_instance_cache=True, **options)
    if not options:
        store.mkdir("bucket")
        store.pipe_file("bucket/name", b"five!")
    methods.clear()
    store.cat_file("bucket/name")
    print(options, *methods)
server.stop()
PYTHON
diff - "$place/seen" <<'SEEN' && echo "s3fs 2026.9.0: as described"
{} HEAD GET
{'max_concurrency': 1} GET
SEEN
