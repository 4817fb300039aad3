#!/usr/bin/env bash
# check-jsonschema 0.39.0: `--builtin-schema vendor.azure-pipelines`, the schema that it ships for Azure's pipelines, ends
# in a traceback on a valid pipeline, as its default dialect of regular expressions can't compile the schema's patterns.
# With `--regex-variant nonunicode` the same file passes. Its other schemas of CI work without the option.
#
# Seen: a traceback of regress.RegressError, exit code 1; with the option "ok -- validation done", exit code 0.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check check-jsonschema==0.39.0 regress==2026.9.1
printf 'steps:\n  - script: echo hello\n' > "$place/azure-pipelines.yml"
check() { "$place/venv/bin/check-jsonschema" --builtin-schema vendor.azure-pipelines "$@" "$place/azure-pipelines.yml"; }
code=0
check > "$place/seen" 2>&1 || code=$?
[ "$code" = 1 ] && grep -q 'RegressError: Invalid character escape' "$place/seen"
check --regex-variant nonunicode | grep -q '^ok'
echo "check-jsonschema 0.39.0: as described"
