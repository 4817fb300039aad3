#!/usr/bin/env bash
# BentoML 1.4.40 with pydantic 2.14.4: an API whose body is `RootModel[A | list[A]]`, one record or a list of them.
# The service answers such requests, but its OpenAPI document can't be made: BentoML cuts a fixed prefix off the
# references in the JSON schema that pydantic gives, and looks the rest up as a name.
#
# Seen: KeyError 'ents/schemas/A' from `openapi_spec`; with `RootModel[list[A]]` the document is made.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check bentoml==1.4.40 pydantic==2.14.4
cat > "$place/document.py" <<'PYTHON'
import bentoml
from pydantic import BaseModel, RootModel


class A(BaseModel):
    x: int


class Many(RootModel[list[A]]):
    pass


class OneOrMany(RootModel[A | list[A]]):
    pass


def document(body):
    class Counter:
        @bentoml.api
        def count(self, body: body, /) -> int:
            return 1

    try:
        bentoml.service(Counter).openapi_spec
        return "made"
    except KeyError as error:
        return f"KeyError {error}"


print(document(Many))
print(document(OneOrMany))
PYTHON
BENTOML_DO_NOT_TRACK=True "$place/venv/bin/python" "$place/document.py" 2> "$place/errors" > "$place/seen" || cat "$place/errors"
printf "made\nKeyError 'ents/schemas/A'\n" | diff - "$place/seen" && echo "BentoML 1.4.40: as described"
