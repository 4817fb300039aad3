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

from service.refusals import Refused
from settings import KEYS, Settings, SettingsError

Role = Literal["predict", "feedback", "admin"]
Scope = MutableMapping[str, Any]

ROLES: tuple[Role, ...] = get_args(Role)
OPEN = frozenset(["/livez", "/healthz", "/readyz"])
ROLE_OF: dict[str, Role] = {"/predict": "predict", "/feedback": "feedback"}  # of every other path: admin
SHORTEST = 16  # characters of a key
NO_KEYS = "no keys are set, so only requests from this machine are answered: set PENUMBRA_KEYS__PREDICT"
CHALLENGE = (b"www-authenticate", b"Bearer")

Keys = Sequence[tuple[bytes, Role]]


def read_keys(environ: Mapping[str, str] = os.environ) -> Keys:
    """Digests of the keys, each with its role. Raises SettingsError for an unknown role, and for a key too short."""
    found = []
    for name in (name for name in environ if name.startswith(KEYS)):
        role = next((role for role in ROLES if name == KEYS + role.upper()), None)
        if role is None:
            raise SettingsError(f"environment variable {name}: expected {KEYS} and one of PREDICT, FEEDBACK, ADMIN")
        for key in filter(None, (key.strip() for key in environ[name].split(","))):
            if len(key) < SHORTEST:
                raise SettingsError(
                    f"environment variable {name}: a key has {len(key)} characters, expected at least {SHORTEST}"
                )
            found.append((_digest(key.encode()), role))
    return found


def require_safe(settings: Settings, keys: Keys) -> None:
    """Raises SettingsError where other machines could ask without a key, and settings don't say that this is meant."""
    service = settings.service
    if not keys and not service.open and not _is_loopback(service.host):
        raise SettingsError(
            f"service.host = {service.host!r} can be reached from other machines and no keys are set: set "
            f"{KEYS}PREDICT, or service.open = true where something in front of the service asks for keys"
        )


class Access:
    """Lets requests pass, or raises Refused. With any key set, a role without keys is closed to all but admin."""

    def __init__(self, keys: Keys, anyone: bool) -> None:
        self._keys = keys
        self._anyone = anyone and not keys

    def check(self, scope: Scope) -> None:
        """Of an HTTP request: raises Refused (401, 403) where its sender may not ask that."""
        if self._anyone:
            return
        if self._keys:
            self._check_key(scope)
        elif (client := scope.get("client")) and client[0] != "127.0.0.1" and not _is_loopback(client[0]):
            raise Refused(403, NO_KEYS)

    def _check_key(self, scope: Scope) -> None:
        roles = self._roles(scope["headers"])
        needed = ROLE_OF.get(scope["path"], "admin")
        if not roles:
            raise Refused(401, "no valid key: send one as 'authorization: Bearer <key>'", headers=[CHALLENGE])
        if not roles & {needed, "admin"}:
            raise Refused(403, f"this key is for {' and '.join(sorted(roles))}, and this takes one for {needed}")

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
