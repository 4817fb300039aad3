#!/usr/bin/env bash
# Sphinx 9.0.4, autodoc: the annotation `-> bytes` of a function becomes a link to an *attribute* called `bytes` of a
# class in the same project. Sphinx knows that `bytes` is a built-in type, and leaves it without a link and without a
# warning, but only where no object of the project has a name that ends in `.bytes`. With one, of whatever kind, every
# `bytes` in every signature leads to that field, and nitpicky mode with warnings as errors is content.
#
# Expected: a built-in type is recognised first, or an attribute is never taken for a class.
#
# Seen: with the attribute the return type in the signature of `read` is a link to `#sizes.Segment.bytes`; once the
# attribute has another name it is plain text. `sphinx-build -n -W` exits with 0 both times.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check sphinx==9.0.4
mkdir "$place/docs"
cat > "$place/docs/conf.py" <<'CONF'
project = "sizes"
extensions = ["sphinx.ext.autodoc"]
CONF
printf 'sizes\n=====\n\n.. automodule:: sizes\n   :members:\n   :undoc-members:\n' > "$place/docs/index.rst"
build() {
  rm -rf "$place/out"
  PYTHONPATH="$place" "$place/venv/bin/sphinx-build" -q -E -n -W --keep-going "$place/docs" "$place/out" 2> "$place/err"
}
cat > "$place/sizes.py" <<'PYTHON'
"""Segments of a file."""


class Segment:
    """A segment."""

    bytes = 0
    """How long it is."""


def read() -> bytes:
    """Return the content."""
    return b""
PYTHON
build && grep -q 'sig-return-typehint"><a class="reference internal" href="#sizes.Segment.bytes"' "$place/out/index.html" && echo "linked to the attribute" > "$place/seen"
sed -i 's/    bytes = 0/    length = 0/' "$place/sizes.py"
build && ! grep -q 'sig-return-typehint"><a class="reference internal" href="#sizes.Segment.bytes"' "$place/out/index.html" && grep -q "bytes" "$place/out/index.html" &&
  echo "without it: plain text" >> "$place/seen"
printf 'linked to the attribute\nwithout it: plain text\n' | diff - "$place/seen" && echo "Sphinx 9.0.4: as described"
