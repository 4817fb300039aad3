"""The manifest bundle.json: the facts of a model version, sealed so that an edit shows. Cheap to import."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penumbra.registry.bundles.signatures import find_signature_fault
from penumbra.storage.sealed import hash_file

if TYPE_CHECKING:
    from penumbra.core.metrics.conformal import ConformalLimits

MANIFEST_FILE = "bundle.json"
RECORDS_FILE, CARD_FILE = "card.json", "card.md"  # in bundles that have a card
CARD_FILES = (RECORDS_FILE, CARD_FILE, "card.html")
LIMITS_FACT = "uncertainty"  # the conformal limits, in bundles that have them
WAY_OUT = (
    "undo that change of problem/, or make a version for the changed code: `penumbra train`, then "
    '`penumbra promote --force --version <the new one> --reason "…"`'
)
REQUIRED_FACTS = frozenset({"inputs", "tables", "sha256", "seal"})


class BrokenBundle(ValueError):
    """The directory is no whole, undamaged bundle for this code; the message says which file or fact is wrong."""


class UnfitBundle(BrokenBundle):
    """The bundle is whole, but no model for this code; the message says why, and what to do."""


def drop_way_out(reason: str) -> str:
    """Drop the advice to make another version, which is none where the previous version is what can't answer.

    Args:
        reason: The message of an `UnfitBundle`, or one that ends in it.

    Returns:
        The message without the advice.
    """
    return reason.removesuffix(f"; {WAY_OUT}")


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write bundle.json with a seal, the SHA-256 of the facts.

    Args:
        folder: The bundle's folder.
        facts: The facts, of JSON's types.
    """
    (folder / MANIFEST_FILE).write_text(json.dumps({**facts, "seal": _compute_seal(facts)}, indent=1))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read bundle.json and check its seal.

    Args:
        folder: The bundle's folder.

    Returns:
        The facts, without the seal.

    Raises:
        BrokenBundle: bundle.json is missing, lacks a required fact, or isn't what was sealed.
    """
    try:
        facts = json.loads((folder / MANIFEST_FILE).read_text())
    except OSError as error:
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: {error.strerror}") from None
    except ValueError as error:
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: {error}") from None
    if missing := REQUIRED_FACTS.difference(facts if isinstance(facts, dict) else ()):
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: has no {', '.join(sorted(missing))}")
    if facts.pop("seal") != _compute_seal(facts):
        raise BrokenBundle(f"{folder / MANIFEST_FILE}: content is not what was sealed: damaged or edited")
    return dict(facts)


def read_bundle_limits(facts: Mapping[str, Any]) -> "ConformalLimits | None":
    """Read the conformal limits of a model version.

    Args:
        facts: The content of bundle.json.

    Returns:
        The limits; None in a bundle of a release that had none.
    """
    if LIMITS_FACT not in facts:
        return None
    import msgspec

    from penumbra.core.metrics.conformal import ConformalLimits

    return msgspec.convert(facts[LIMITS_FACT], ConformalLimits)


def verify_bundle(folder: Path, signers: Sequence[str] = ()) -> dict[str, Any]:
    """Read bundle.json and check every file of the bundle against it.

    Args:
        folder: The bundle's folder.
        signers: The settings' `registry.signed_by`: public keys, one of which must have signed the bundle, if any.

    Returns:
        The facts of bundle.json, without the seal.

    Raises:
        BrokenBundle: bundle.json or another file is missing, damaged or replaced.
        UnfitBundle: The bundle isn't signed as the settings ask.
    """
    facts = read_manifest(folder)
    if fault := find_signature_fault(folder / MANIFEST_FILE, signers):
        raise UnfitBundle(
            f"version {folder.name} is not used, as {fault} and registry.signed_by asks for a signature: train it "
            "again with BUNDLE_SIGNING_KEY set, or go back to a signed version"
        )
    for name, expected in facts["sha256"].items():
        verify_bundle_file(folder / name, expected)
    return facts


def verify_bundle_file(path: Path, expected: str) -> None:
    """Check one file of a bundle against its bundle.json.

    Args:
        path: The file.
        expected: Its SHA-256 in bundle.json.

    Raises:
        BrokenBundle: The file is missing, damaged or replaced.
    """
    if hash_bundle_file(path) != expected:
        raise BrokenBundle(f"{path}: content is not what bundle.json says: damaged or replaced")


def hash_bundle_file(path: Path) -> str:
    """Compute the SHA-256 of a bundle's file.

    Args:
        path: The file.

    Returns:
        The digest in hexadecimal.

    Raises:
        BrokenBundle: The file can't be read.
    """
    try:
        return hash_file(path)
    except OSError as error:
        raise BrokenBundle(f"{path}: {error.strerror}") from None


def _compute_seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
