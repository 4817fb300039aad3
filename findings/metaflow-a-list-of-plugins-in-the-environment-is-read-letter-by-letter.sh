#!/usr/bin/env bash
# Metaflow 2.19.39: which plugins are loaded is set by ENABLED_<category>, such as ENABLED_STEP_DECORATOR. In the configuration
# file a list works. Any setting of that file can be given by a variable METAFLOW_<name> too, and those whose default is a
# dictionary or list take JSON there; of these the text itself is taken for the list, so that each letter is the name of a plugin.
# Then the import of metaflow fails, and names a letter.
#
# Seen: the variable with `["resources"]` and with `resources` ends in a ValueError about a plugin of one character; the file with
# the same JSON works.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check metaflow==2.19.39 setuptools==82.0.1
export METAFLOW_HOME="$place/home" HOME="$place"
mkdir "$METAFLOW_HOME"
try() { "$place/venv/bin/python" -c 'import metaflow; print("imported")' 2>&1 | tail -1 | sed -E "s/plugin '(.)' but/plugin '<one character>' but/"; }
{
  echo "variable, JSON: $(METAFLOW_ENABLED_STEP_DECORATOR='["resources"]' try)"
  echo "variable, name: $(METAFLOW_ENABLED_STEP_DECORATOR=resources try)"
  echo '{"METAFLOW_ENABLED_STEP_DECORATOR": ["resources"]}' > "$METAFLOW_HOME/config.json"
  echo "file: $(try)"
} > "$place/seen"
refused="ValueError: Configuration requested step_decorator plugin '<one character>' but no such plugin is available"
printf 'variable, JSON: %s\nvariable, name: %s\nfile: imported\n' "$refused" "$refused" | diff - "$place/seen" &&
  echo "Metaflow 2.19.39: as described"
