#!/usr/bin/env bash
# libcst 1.9.0: QualifiedNameProvider gives an attribute of a call's *result* the qualified name of an attribute of
# the *function*. `json.loads("{}").get` is reported as `json.loads.get`, imported, with nothing that says that a call
# or a subscript stands between; so is `loads("{}")["k"].z`. An attribute of any other expression is not left without a
# name but reported as `builtins.None`.
#
# Expected: no qualified name, as for other nodes that have none, since the object isn't known. A codemod that renames
# by qualified name, and stops at the first one that it doesn't know, passes over `Store(path).read()` in silence.
#
# Seen: the five lines below `expected`.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check libcst==1.9.0 pyyaml==6.0.3
cat > "$place/expected" <<'EXPECTED'
loads("{}").get -> json.loads.get IMPORT
loads("{}")["k"].z -> json.loads.z IMPORT
Path("a").name -> pathlib.Path.name IMPORT
[loads][0].x -> builtins.None BUILTIN
f().real -> f.real LOCAL
EXPECTED
"$place/venv/bin/python" - > "$place/seen" <<'PYTHON'
import libcst as cst
from libcst.metadata import MetadataWrapper, QualifiedNameProvider

CODE = """
from json import loads
from pathlib import Path

def f():
    return 1

loads("{}").get
loads("{}")["k"].z
Path("a").name
[loads][0].x
f().real
"""
wrapper = MetadataWrapper(cst.parse_module(CODE))
for node, names in wrapper.resolve(QualifiedNameProvider).items():
    if isinstance(node, cst.Attribute):
        for name in names() if callable(names) else names:
            print(cst.Module([]).code_for_node(node), "->", name.name, name.source.name)
PYTHON
diff "$place/expected" "$place/seen" && echo "libcst 1.9.0: as described"
