"""bundle.json: what a model version is and where it came from, sealed so that an edit shows. Cheap to import."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "bundle.json"
REQUIRED = frozenset({"inputs", "tables", "sha256", "seal"})


class BrokenBundle(ValueError):
    """The directory is not a whole, unharmed bundle for this code; says which file or fact is wrong."""


def write_sealed(folder: Path, facts: Mapping[str, Any]) -> None:
    (folder / NAME).write_text(json.dumps({**facts, "seal": _seal(facts)}, indent=1))


def sealed(folder: Path) -> dict[str, Any]:
    """What bundle.json says. Raises BrokenBundle where it is missing or not what was sealed."""
    try:
        facts = json.loads((folder / NAME).read_text())
    except (OSError, ValueError) as error:
        raise BrokenBundle(f"{folder / NAME}: {error}") from None
    if missing := REQUIRED.difference(facts if isinstance(facts, dict) else ()):
        raise BrokenBundle(f"{folder / NAME}: has no {', '.join(sorted(missing))}")
    if facts.pop("seal") != _seal(facts):
        raise BrokenBundle(f"{folder / NAME}: content is not what was sealed: damaged or edited")
    return dict(facts)


def intact(folder: Path) -> dict[str, Any]:
    """What bundle.json says, once every file was found to be what it says. Raises BrokenBundle."""
    facts = sealed(folder)
    for name, expected in facts["sha256"].items():
        if sha256(folder / name) != expected:
            raise BrokenBundle(f"{folder / name}: content is not what bundle.json says: damaged or replaced")
    return facts


def sha256(path: Path) -> str:
    """Raises BrokenBundle where the file can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BrokenBundle(f"{path}: {error}") from None


def _seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
