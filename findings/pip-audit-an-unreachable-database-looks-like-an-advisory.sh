#!/usr/bin/env bash
# pip-audit 2.10.1: a database of advisories that can't be reached ends with exit code 1, the code of "vulnerabilities
# found", and with a traceback instead of a message; a report file isn't written then, and is written when something is
# found. So a CI job that lets findings pass (`|| [ $? = 1 ]`, to tell them elsewhere) also lets an audit pass that never
# took place, and one that fails on 1 calls an outage a vulnerability. Whether the report file exists tells them apart.
#
# Seen: "exit code 1, report written: no" for a port on which nothing listens, and "exit code 1, report written: yes"
# for a database on this machine that knows of one advisory.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pip-audit==2.10.1
printf 'jinja2==2.4.1 \\\n    --hash=sha256:%064d\n' 0 > "$folder/requirements.txt"

"$folder/venv/bin/python" - "$folder" > "$folder/seen" <<'PYTHON'
import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

folder = Path(sys.argv[1])


class Database(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}]
        affected = [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, "ranges": ranges}]
        body = json.dumps({"vulns": [{"id": "EXAMPLE-1", "summary": "An example.", "affected": affected}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def audit(address):
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = ["-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    command += [f"--output={report}", f"--requirement={folder / 'requirements.txt'}"]
    command += ["--vulnerability-service=osv", f"--osv-url={address}"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    print(f"exit code {done.returncode}, report written: {'yes' if report.exists() else 'no'}, "
          f"traceback: {'yes' if 'Traceback' in done.stderr else 'no'}")


with socket.create_server(("127.0.0.1", 0)) as unused:
    port = unused.getsockname()[1]
audit(f"http://127.0.0.1:{port}")
server = HTTPServer(("127.0.0.1", 0), Database)
threading.Thread(target=server.serve_forever, daemon=True).start()
audit(f"http://127.0.0.1:{server.server_port}")
PYTHON
printf 'exit code 1, report written: %s, traceback: %s\n' no yes yes no | diff - "$folder/seen" && echo "pip-audit 2.10.1: as described"
