"""The bill of materials: valid, the same each time, and of what the image really installs."""

import json
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner

from deploy.locks import IMAGE_PYTHON
from deploy.sbom import SBOM_FILE, build_sbom, write_sbom
from penumbra.cli.app import main
from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry.bundles.manifest import MANIFEST_FILE, hash_bundle_file
from tests.helpers.servers import local_service


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a bento pins, as far as the bill of materials looks at it: two models."""
    folder = tmp_path_factory.mktemp("pinned")
    made = local_service.make_bundle(folder / "bundles" / "7")
    shutil.copytree(made, folder / "bundles" / "8")
    return folder


@pytest.fixture(scope="module")
def document(pinned: Path) -> dict[str, Any]:
    return build_sbom("model", pinned)


def find_schema(name: str) -> Any:
    pytest.importorskip("cyclonedx.schema")
    return json.loads((resources.files("cyclonedx.schema") / "_res" / name).read_text())


def test_it_is_valid_by_the_schema_of_its_format(document: dict[str, Any]) -> None:
    schema = find_schema("bom-1.6.SNAPSHOT.schema.json")
    names = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    others = [(schema["$id"].rpartition("/")[0] + "/" + name, find_schema(name)) for name in names]
    registry = jsonschema_rs.Registry([(uri, content) for uri, content in others])
    validator = jsonschema_rs.validator_for(schema, registry=registry, validate_formats=False)
    assert [error.message for error in validator.iter_errors(document)] == []
    broken = {**document, "components": [{"name": "numpy"}]}
    assert not validator.is_valid(broken)


def test_it_lists_what_the_image_installs_with_the_hashes_of_the_lock(document: dict[str, Any]) -> None:
    lock = (PROJECT_ROOT / "locks/serve.lock").read_text()
    libraries = {each["name"]: each for each in document["components"] if each["type"] == "library"}
    assert libraries.keys() == set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    numpy = libraries["numpy"]
    assert numpy["purl"] == f"pkg:pypi/numpy@{numpy['version']}"
    assert f"numpy=={numpy['version']} ; python_full_version < '3.12'" in lock
    assert all(f"--hash=sha256:{each['content']}" in lock for each in numpy["hashes"])
    assert f"FROM python:{IMAGE_PYTHON}-slim" in (PROJECT_ROOT / "deploy/Dockerfile").read_text()


def test_licences_are_named_where_they_are_known(document: dict[str, Any]) -> None:
    known = {each["name"]: each["licenses"] for each in document["components"] if "licenses" in each}
    assert known["click"] == [{"expression": "BSD-3-Clause"}]
    assert len(known) > 0.9 * len(document["components"])


def test_it_lists_the_pinned_models_with_the_hash_of_their_manifest(document: dict[str, Any], pinned: Path) -> None:
    models = [each for each in document["components"] if each["type"] == "machine-learning-model"]
    assert [model["version"] for model in models] == ["7", "8"]
    assert models[0]["hashes"][0]["content"] == hash_bundle_file(pinned / "bundles" / "7" / MANIFEST_FILE)


def test_the_same_lock_and_models_give_the_same_bytes(document: dict[str, Any], pinned: Path, tmp_path: Path) -> None:
    write_sbom(tmp_path, "model", pinned)
    assert json.loads((tmp_path / SBOM_FILE).read_text()) == document
    assert build_sbom("model")["serialNumber"] != document["serialNumber"]


def test_the_command_prints_it_without_models() -> None:
    done = CliRunner().invoke(main, ["sbom"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == build_sbom("flight-delay")
