"""bundle.json: what a model version is and where it came from, sealed so that an edit shows. Cheap to import."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST_FILE = "bundle.json"
REQUIRED_FACTS = frozenset({"inputs", "tables", "sha256", "seal"})


class BrokenBundle(ValueError):
    """The directory is not a whole, unharmed bundle for this code; says which file or fact is wrong."""


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    (folder / MANIFEST_FILE).write_text(json.dumps({**facts, "seal": _compute_seal(facts)}, indent=1))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What bundle.json says. Raises BrokenBundle where it is missing or not what was sealed."""
    try:
        facts = json.loads((folder / MANIFEST_FILE).read_text())
    except (OSError, ValueError) as error:
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: {error}") from None
    if missing := REQUIRED_FACTS.difference(facts if isinstance(facts, dict) else ()):
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: has no {', '.join(sorted(missing))}")
    if facts.pop("seal") != _compute_seal(facts):
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: content is not what was sealed: damaged or edited")
    return dict(facts)


def verify_bundle(folder: Path) -> dict[str, Any]:
    """What bundle.json says, once every file was found to be what it says. Raises BrokenBundle."""
    facts = read_manifest(folder)
    for name, expected in facts["sha256"].items():
        if hash_bundle_file(folder / name) != expected:
            raise BrokenBundle(f"{folder / name}: content is not what bundle.json says: damaged or replaced")
    return facts


def hash_bundle_file(path: Path) -> str:
    """Raises BrokenBundle where the file can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BrokenBundle(f"{path}: {error}") from None


def _compute_seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
