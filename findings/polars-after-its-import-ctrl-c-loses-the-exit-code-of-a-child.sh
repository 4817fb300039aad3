#!/usr/bin/env bash
# polars 2.1.0 on CPython 3.11: `import polars` installs SIGINT's handler anew with SA_RESTART, so that a Ctrl-C no longer
# interrupts waitpid(). A process that waits for a child then collects the child's exit status first, and KeyboardInterrupt is
# raised before subprocess has stored it: the next `wait()` finds no child and says 0, though the child ended with 1. Who
# catches KeyboardInterrupt to wait for the child's end, as a wrapper of a command does, takes a failure for success.
#
# Seen: `wait()` after Ctrl-C says 1 as it is, and 0 after `import polars`.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/wait.py" <<'PYTHON'
import os
import signal
import subprocess
import sys

CHILD = """
import sys, time
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(1)
"""
PARENT = """
import subprocess, sys
if sys.argv[1] == "polars":
    import polars
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]])
while True:
    try:
        code = child.wait()
        break
    except KeyboardInterrupt:
        pass
print("the child ended with", code, flush=True)
"""
for imported in ("nothing", "polars"):
    command = [sys.executable, "-c", PARENT, imported, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        parent.stdout.readline()
        os.killpg(parent.pid, signal.SIGINT)
        print(f"{imported} imported:", parent.stdout.read().strip())
PYTHON
"$place/venv/bin/python" "$place/wait.py" > "$place/seen"
printf 'nothing imported: the child ended with 1\npolars imported: the child ended with 0\n' | diff - "$place/seen" \
  && echo "polars 2.1.0: as described"
