#!/usr/bin/env bash
# check-jsonschema 0.39.0: `--builtin-schema vendor.azure-pipelines`, the schema that it ships for Azure's pipelines, ends
# in a traceback on a valid pipeline that names a branch. The schema's pattern of branches escapes characters that need no
# escape, which the default dialect of regular expressions (with Unicode) refuses; the pattern is compiled only where a
# branch is named, so that a pipeline without one passes. With `--regex-variant nonunicode` both pass.
#
# Seen: regress.RegressError and exit code 1 where a branch is named; "ok -- validation done" otherwise.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check check-jsonschema==0.39.0 regress==2026.9.1
printf 'steps:\n  - script: echo hello\n' > "$place/plain.yml"
printf 'pr: [main]\nsteps:\n  - script: echo hello\n' > "$place/branch.yml"
check() {
  code=0
  "$place/venv/bin/check-jsonschema" --builtin-schema vendor.azure-pipelines "$@" > "$place/output" 2>&1 || code=$?
  echo "$code $(tail -1 "$place/output")"
}
{
  check "$place/plain.yml"
  check "$place/branch.yml"
  check --regex-variant nonunicode "$place/branch.yml"
} > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "check-jsonschema 0.39.0: as described"
0 ok -- validation done
1 regress.RegressError: Invalid character escape
0 ok -- validation done
SEEN
