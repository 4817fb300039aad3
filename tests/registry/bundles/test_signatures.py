"""A bundle that isn't signed by a key of the settings is neither served, pinned, promoted nor shadowed."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from penumbra.core.settings import SettingsError
from penumbra.registry import SIGNING_KEY_VARIABLE
from penumbra.registry.bundles.manifest import MANIFEST_FILE, UnfitBundle, read_manifest, verify_bundle, write_manifest
from penumbra.registry.bundles.signatures import require_signing_key, sign_manifest
from penumbra.registry.pointers import read_pointer
from penumbra.registry.rollback import RollbackRefused, roll_back_live
from service.inference.models.live_model import LiveModels
from service.processes.deployment.version_deployment import (
    deploy_canary,
    deploy_candidate,
    deploy_live,
    deploy_previous,
)
from service.shadow.scorer_client import ScorerClient
from tests.helpers.models import registered_versions as world
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


def write_key(path: Path, key: Any) -> Any:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def describe_public_key(key: Ed25519PrivateKey) -> str:
    """As in the settings."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The public key of the one that training signs with."""
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(tmp_path / "key.pem"))
    return describe_public_key(write_key(tmp_path / "key.pem", Ed25519PrivateKey.generate()))


def make_signed_bundle(folder: Path, seed: int = 1) -> Path:
    made = local_service.make_bundle(folder, seed)
    sign_manifest(made / MANIFEST_FILE)
    return made


def deploy(folder: Path, signer: str, **aliases: str) -> local_service.FolderRegistry:
    """A registry with these aliases, and a pass of the deployer that asks for signatures."""
    registry = local_service.FolderRegistry(folder / "registry", **aliases)
    registry.signed_by = [signer]
    deploy_live(registry, folder / "state", local_service.PROBLEM)
    return registry


def test_a_bundle_that_was_signed_is_verified_by_any_listed_key(tmp_path: Path, signer: str) -> None:
    made, other = make_signed_bundle(tmp_path / "1"), describe_public_key(Ed25519PrivateKey.generate())
    assert verify_bundle(made, [other, signer]) == verify_bundle(made) == read_manifest(made)


def test_an_unsigned_foreign_or_changed_bundle_is_refused_in_one_sentence(tmp_path: Path, signer: str) -> None:
    unsigned = local_service.make_bundle(tmp_path / "1")
    with pytest.raises(UnfitBundle, match=r"^version 1 is not used, as it isn't signed and registry.signed_by asks"):
        verify_bundle(unsigned, [signer])
    made = make_signed_bundle(tmp_path / "2")
    with pytest.raises(UnfitBundle, match="version 2 is not used, as its signature is wrong"):
        verify_bundle(made, [describe_public_key(Ed25519PrivateKey.generate())])
    write_manifest(made, {**read_manifest(made), "threshold": 0.9})
    assert verify_bundle(made)["threshold"] == 0.9
    with pytest.raises(UnfitBundle, match="its signature is wrong"):
        verify_bundle(made, [signer])


def test_the_deployer_serves_pins_and_shadows_signed_versions_only(tmp_path: Path, signer: str) -> None:
    make_signed_bundle(tmp_path / "registry/1")
    local_service.make_bundle(tmp_path / "registry/2", 2)
    registry = deploy(tmp_path, signer, live="1", candidate="2", previous="2", canary="2")
    for role in (
        deploy_candidate,
        deploy_previous,
        deploy_canary,
    ):
        with pytest.raises(UnfitBundle, match="version 2 is not used"):
            role(registry, tmp_path / "state")
    with pytest.raises(UnfitBundle, match="version 2 is not used"):
        deploy(tmp_path, signer, live="2")
    assert [read_pointer(tmp_path / "state", role) for role in ("live", "candidate", "previous")] == ["1", None, None]
    assert "version 2 is not used" in (tmp_path / "state/live-refused").read_text()


def test_a_worker_answers_with_no_unsigned_bundle_that_somebody_put_into_the_state(tmp_path: Path, signer: str) -> None:
    make_signed_bundle(tmp_path / "registry/1")
    deploy(tmp_path, signer, live="1")
    workers = [LiveModels(tmp_path / "state", local_service.PROBLEM, signers=[signer]) for _ in range(2)]
    workers[0].refresh()
    local_service.make_bundle(tmp_path / "state/bundles/1", 2)
    workers[1].refresh()
    assert [worker.model is not None for worker in workers] == [True, False]
    assert "version 1 is not used, as its signature is wrong" in workers[1].explain_absence()


@pytest.mark.slow
def test_the_shadow_runs_no_unsigned_bundle(tmp_path: Path, signer: str) -> None:
    limits = local_service.make_service_settings(tmp_path).shadow
    client = ScorerClient(local_service.make_bundle(tmp_path / "1"), limits, [signer])
    try:
        local_service.wait_until(client.is_ready, seconds=30)
        assert "version 1 is not used, as it isn't signed" in str(client.refused)
    finally:
        client.close()


def test_nobody_rolls_back_to_an_unsigned_version(tmp_path: Path, signer: str) -> None:
    local_service.deploy_version(tmp_path, "1")
    make_signed_bundle(tmp_path / "registry/2", 2)
    deploy(tmp_path, signer, live="2")
    settings = world.make_registry_settings(tmp_path)
    registry = settings.registry.model_copy(update={"signed_by": [signer]})
    with pytest.raises(RollbackRefused, match="version 1 can't answer: version 1 is not used, as it isn't signed"):
        roll_back_live(settings.model_copy(update={"registry": registry}), "")
    assert read_pointer(tmp_path / "state") == "2"


@pytest.mark.slow
def test_no_training_begins_whose_result_would_not_be_served(
    tmp_path: Path, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_signing_key([])
    require_signing_key([signer])
    with pytest.raises(SettingsError, match=r"which registry.signed_by doesn't list"):
        require_signing_key([describe_public_key(Ed25519PrivateKey.generate())])
    write_key(tmp_path / "key.pem", generate_private_key(65537, 2048))
    with pytest.raises(SettingsError, match=r"BUNDLE_SIGNING_KEY = '.*key.pem' is no Ed25519 key"):
        require_signing_key([signer])
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(SettingsError, match=r"BUNDLE_SIGNING_KEY = '.*key.pem' is no readable key"):
        require_signing_key([signer])
    monkeypatch.delenv(SIGNING_KEY_VARIABLE)
    with pytest.raises(SettingsError, match="BUNDLE_SIGNING_KEY names no key"):
        require_signing_key([signer])
