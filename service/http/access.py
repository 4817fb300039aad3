"""Who may ask what: API keys by role, from the environment and nowhere else.

PENUMBRA_KEYS__PREDICT, PENUMBRA_KEYS__FEEDBACK and PENUMBRA_KEYS__ADMIN each hold keys with commas between them. They
are no settings: those are recorded with every run, keys are kept as digests in the serving process only.
"""

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal, get_args

from penumbra.core.settings import API_KEY_PREFIX, Settings, SettingsError
from service.http.refusals import RequestRefused

Role = Literal["predict", "feedback", "admin"]
Scope = MutableMapping[str, Any]

KEY_ROLES: tuple[Role, ...] = get_args(Role)
PUBLIC_PATHS = frozenset(["/livez", "/healthz", "/readyz"])
ROLE_BY_PATH: dict[str, Role] = {"/predict": "predict", "/feedback": "feedback"}  # of every other path: admin
MIN_KEY_LENGTH = 16  # characters of a key
NO_KEYS_MESSAGE = "no keys are set, so only requests from this machine are answered: set PENUMBRA_KEYS__PREDICT"
BEARER_CHALLENGE = (b"www-authenticate", b"Bearer")

KeyDigests = Sequence[tuple[bytes, Role]]


def read_keys(environ: Mapping[str, str] = os.environ) -> KeyDigests:
    """Digests of the keys, each with its role. Raises SettingsError for an unknown role, and for a key too short."""
    found = []
    for name in (name for name in environ if name.startswith(API_KEY_PREFIX)):
        role = next((role for role in KEY_ROLES if name == API_KEY_PREFIX + role.upper()), None)
        if role is None:
            raise SettingsError(
                f"environment variable {name}: expected {API_KEY_PREFIX} and one of PREDICT, FEEDBACK, ADMIN"
            )
        for key in filter(None, (key.strip() for key in environ[name].split(","))):
            if len(key) < MIN_KEY_LENGTH:
                raise SettingsError(
                    f"environment variable {name}: a key has {len(key)} characters, expected at least {MIN_KEY_LENGTH}"
                )
            found.append((_digest(key.encode()), role))
    return found


def require_safe_access(settings: Settings, keys: KeyDigests) -> None:
    """Raises SettingsError where other machines could ask without a key, and settings don't say that this is meant."""
    service = settings.service
    if not keys and not service.open and not _is_loopback(service.host):
        raise SettingsError(
            f"service.host = {service.host!r} can be reached from other machines and no keys are set: set "
            f"{API_KEY_PREFIX}PREDICT, or service.open = true where something in front of the service asks for keys"
        )


class AccessControl:
    """Lets requests pass, or raises Refused. With any key set, a role without keys is closed to all but admin."""

    def __init__(self, keys: KeyDigests, anyone: bool) -> None:
        self._keys = keys
        self._anyone = anyone and not keys

    def check(self, scope: Scope) -> None:
        """Of an HTTP request: raises Refused (401, 403) where its sender may not ask that."""
        if self._anyone:
            return
        if self._keys:
            self._check_key(scope)
        elif (client := scope.get("client")) and client[0] != "127.0.0.1" and not _is_loopback(client[0]):
            raise RequestRefused(403, NO_KEYS_MESSAGE)

    def _check_key(self, scope: Scope) -> None:
        roles = self._roles(scope["headers"])
        needed = ROLE_BY_PATH.get(scope["path"], "admin")
        if not roles:
            raise RequestRefused(
                401, "no valid key: send one as 'authorization: Bearer <key>'", headers=[BEARER_CHALLENGE]
            )
        if not roles & {needed, "admin"}:
            raise RequestRefused(403, f"this key is for {' and '.join(sorted(roles))}, and this takes one for {needed}")

    def _roles(self, headers: Sequence[tuple[bytes, bytes]]) -> set[Role]:
        """The roles of the key in the headers; takes the same time whichever key it is, and if it is none."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        digest = _digest(key.strip() if scheme.lower() == b"bearer" else b"")
        return {role for known, role in self._keys if hmac.compare_digest(known, digest)}


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
