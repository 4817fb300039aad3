"""Signatures of bundles: training signs bundle.json, which has the checksums of all other files; serving checks it.

They are Ed25519 (RFC 8032), not a code with a shared key, so that whoever breaks into a machine that serves finds no
key there that signs.

| what             | where                                                                                           |
|------------------|-------------------------------------------------------------------------------------------------|
| the signing key  | a file in PEM that the environment variable `BUNDLE_SIGNING_KEY` names, where models are trained |
| the public keys  | `registry.signed_by`: DER in base64, which is the middle line of a public key's PEM              |
| the signature    | `bundle.json.sig`, 64 bytes, beside `bundle.json`                                                |
"""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penumbra.core.settings import ED25519_PREFIX, SettingsError
from penumbra.registry import SIGNING_KEY_VARIABLE

SIGNATURE_SUFFIX = ".sig"


def sign_manifest(manifest: Path) -> None:
    """Sign a manifest with the key that the environment names, if it names one.

    Args:
        manifest: The path of bundle.json; the signature is written beside it.

    Raises:
        SettingsError: The key can't be read.
    """
    if key := _read_signing_key():
        manifest.with_name(manifest.name + SIGNATURE_SUFFIX).write_bytes(key.sign(manifest.read_bytes()))


def require_signing_key(signers: Sequence[str]) -> None:
    """Refuse to train where the result would not be served, as it would not be signed by a key that counts.

    Args:
        signers: The settings' `registry.signed_by`.

    Raises:
        SettingsError: Signatures are asked for, and the environment names no key, or one whose public key isn't listed.
    """
    if not signers:
        return
    key = _read_signing_key()
    if key is None:
        raise SettingsError(
            f"registry.signed_by asks for signed bundles and {SIGNING_KEY_VARIABLE} names no key: set it to the file "
            "of the signing key, or what is trained is not served"
        )
    public = base64.b64encode(ED25519_PREFIX + key.public_key().public_bytes_raw()).decode()
    if public not in signers:
        raise SettingsError(
            f"the key that {SIGNING_KEY_VARIABLE} names has the public key {public}, which registry.signed_by doesn't "
            "list: what is trained would not be served"
        )


def find_signature_fault(manifest: Path, signers: Sequence[str]) -> str:
    """Check the signature of a manifest.

    Args:
        manifest: The path of bundle.json.
        signers: Public keys, of which one must have signed it; with none, nothing is checked.

    Returns:
        What is wrong with the signature, "" for nothing.
    """
    if not signers:
        return ""
    try:
        signature = manifest.with_name(manifest.name + SIGNATURE_SUFFIX).read_bytes()
    except OSError:
        return "it isn't signed"
    content = manifest.read_bytes()
    return "" if any(_is_signed_by(signer, signature, content) for signer in signers) else "its signature is wrong"


def _is_signed_by(signer: str, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(signer)[len(ED25519_PREFIX) :]).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _read_signing_key() -> Any:
    """The private key that the environment names; None where it names none."""
    if not (path := os.environ.get(SIGNING_KEY_VARIABLE)):
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{SIGNING_KEY_VARIABLE} = {path!r} is no readable key: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{SIGNING_KEY_VARIABLE} = {path!r} is no Ed25519 key (openssl genpkey -algorithm ed25519)")
    return key
