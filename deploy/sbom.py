"""The software bill of materials of the serving image, in the format CycloneDX 1.6 (ECMA-424).

It lists what `locks/serve.lock` installs in the image, with the hashes that are accepted, and the models that a bento
pins. The same lock and models give the same bytes. Licences come from the distributions that are installed here, where
they have the locked version.
"""

import importlib.metadata
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.locks import LockedDistribution, read_locked_distributions
from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry.bundles.manifest import MANIFEST_FILE, hash_bundle_file
from penumbra.registry.pointers import BUNDLES_FOLDER

SERVE_LOCK = "locks/serve.lock"
SBOM_FILE = "sbom.cdx.json"
SPECIFICATION = "1.6"
MAX_LICENCE_NAME = 100  # characters; some distributions give the whole text of their licence as its name


def build_sbom(name: str, pinned: Path | None = None) -> dict[str, Any]:
    """Build the bill of materials.

    Args:
        name: The service's name, the settings' `registry.model`.
        pinned: The folder of the models that a bento pins, with the layout of the service's state; None for no models.

    Returns:
        A CycloneDX document, of JSON's types.

    Raises:
        BrokenBundle: A pinned bundle can't be read.
    """
    application = {"type": "application", "bom-ref": name, "name": name, **_describe_engine()}
    components = [_describe_distribution(each) for each in read_locked_distributions(PROJECT_ROOT / SERVE_LOCK)]
    components += _describe_models(name, pinned) if pinned else []
    references = [component["bom-ref"] for component in components]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": application},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": references}],
    }
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document))}"}


def write_sbom(folder: Path, name: str, pinned: Path) -> None:
    """Write the bill of materials of a bento.

    Args:
        folder: The folder that becomes the bento.
        name: The service's name.
        pinned: The folder of its models.

    Raises:
        BrokenBundle: A pinned bundle can't be read.
    """
    (folder / SBOM_FILE).write_text(json.dumps(build_sbom(name, pinned), indent=1))


def _describe_engine() -> dict[str, Any]:
    version = importlib.metadata.version("penumbra")
    return {"version": version, "licenses": _describe_licences(importlib.metadata.metadata("penumbra"))}


def _describe_distribution(distribution: LockedDistribution) -> dict[str, Any]:
    """A component; all accepted hashes are of files of this version, of which the image has one."""
    return {
        "type": "library",
        "bom-ref": distribution.package_url,
        "name": distribution.name,
        "version": distribution.version,
        "purl": distribution.package_url,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in distribution.sha256],
        **_find_licences(distribution),
    }


def _find_licences(distribution: LockedDistribution) -> dict[str, Any]:
    try:
        metadata = importlib.metadata.metadata(distribution.name)
    except importlib.metadata.PackageNotFoundError:
        return {}
    known = _describe_licences(metadata) if metadata["Version"] == distribution.version else []
    return {"licenses": known} if known else {}


def _describe_licences(metadata: Any) -> list[dict[str, Any]]:
    """The licence as an SPDX expression, or else by the names that the distribution gives."""
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = [each for each in metadata.get_all("Classifier", []) if each.startswith("License :: ")]
    names = [each.rpartition(" :: ")[2] for each in classifiers] or [(metadata.get("License") or "").strip()]
    return [{"license": {"name": name}} for name in names if re.fullmatch(rf".{{1,{MAX_LICENCE_NAME}}}", name)]


def _describe_models(name: str, pinned: Path) -> Iterator[dict[str, Any]]:
    for folder in sorted((pinned / BUNDLES_FOLDER).iterdir()):
        yield {
            "type": "machine-learning-model",
            "bom-ref": f"{name}@{folder.name}",
            "name": name,
            "version": folder.name,
            "hashes": [{"alg": "SHA-256", "content": hash_bundle_file(folder / MANIFEST_FILE)}],
        }
