"""Access control: API keys by role, read from the environment and from nowhere else.

PENUMBRA_KEYS__PREDICT, PENUMBRA_KEYS__FEEDBACK and PENUMBRA_KEYS__ADMIN each hold keys separated by commas. They are
not settings, because settings are recorded with every run. Keys are kept as digests, in the serving process only:
`python -m service` takes them out of the environment, and hands the digests to its workers in a file without a name.
"""

import hashlib
import hmac
import os
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from typing import IO, Any, Literal, get_args

import msgspec

from penumbra.core.settings import API_KEY_PREFIX, ServiceSettings, SettingsError
from service.http.hosts import HostCheck, is_loopback
from service.http.refusals import RequestRefused

Role = Literal["predict", "feedback", "admin"]
Scope = MutableMapping[str, Any]

KEY_ROLES: tuple[Role, ...] = get_args(Role)
PUBLIC_PATHS = frozenset(["/livez", "/healthz", "/readyz"])
ROLE_BY_PATH: dict[str, Role] = {"/predict": "predict", "/feedback": "feedback"}  # all other paths: admin
MIN_KEY_LENGTH = 16  # characters of a key
NO_KEYS_MESSAGE = "no keys are set, so only requests from this machine are answered: set PENUMBRA_KEYS__PREDICT"
HOST_REMEDY = (
    "send to 127.0.0.1 or localhost, or set PENUMBRA_KEYS__PREDICT; or service.open = true where a proxy asks for keys"
)
BEARER_CHALLENGE = (b"www-authenticate", b"Bearer")

KeyDigests = Sequence[tuple[bytes, Role]]


def read_keys(environ: Mapping[str, str] = os.environ) -> KeyDigests:
    """Read the API keys of all roles from environment variables.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        A pair (SHA-256 digest, role) for each key; empty where no key is set.

    Raises:
        SettingsError: A variable names an unknown role, or a key is shorter than `MIN_KEY_LENGTH` characters.
    """
    digests = []
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
            digests.append((_digest(key.encode()), role))
    return digests


def store_key_digests(keys: KeyDigests) -> IO[bytes]:
    """Write the digests of keys to an open file without a name, for a child process to inherit.

    Args:
        keys: As returned by `read_keys`.

    Returns:
        The file; its descriptor can be inherited.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 (it stays open)
    file.write(msgspec.json.encode(keys))
    file.flush()
    os.set_inheritable(file.fileno(), True)
    return file


def load_key_digests(descriptor: int) -> KeyDigests:
    """Read the digests that `store_key_digests` wrote.

    Args:
        descriptor: The inherited file descriptor, which stays open.

    Returns:
        A pair (SHA-256 digest, role) for each key.
    """
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    return msgspec.json.decode(content, type=list[tuple[bytes, Role]])


def require_safe_access(service: ServiceSettings, keys: KeyDigests) -> None:
    """Refuse settings under which other machines could send requests without a key.

    Args:
        service: `host` and `open` are read.
        keys: As returned by `read_keys`.

    Raises:
        SettingsError: There are no keys, the host is not a loopback address, and `service.open` is not set.
    """
    if not keys and not service.open and not is_loopback(service.host):
        raise SettingsError(
            f"service.host = {service.host!r} can be reached from other machines and no keys are set: set "
            f"{API_KEY_PREFIX}PREDICT, or service.open = true where something in front of the service asks for keys"
        )


class AccessControl:
    """Checks the API key of each request.

    As soon as any key is set, a role without keys is closed to all but admins.
    """

    def __init__(self, keys: KeyDigests, is_open: bool) -> None:
        """Keep the digests of `keys`; `is_open` lets every machine in where there are none."""
        self._keys = keys
        self._is_open = is_open and not keys
        self._hosts = HostCheck((), HOST_REMEDY)

    def check(self, scope: Scope) -> None:
        """Let an HTTP request pass, or refuse it.

        Args:
            scope: The request's ASGI scope; path, headers and client address are read.

        Raises:
            RequestRefused: 401 without a valid key, 403 with the key of another role, or from another machine where no
                keys are set, 421 for a host that isn't this machine where no keys are set.
        """
        if self._is_open:
            return
        if self._keys:
            self._check_key(scope)
        else:
            client = scope.get("client")
            if client and client[0] != "127.0.0.1" and not is_loopback(client[0]):
                raise RequestRefused(403, NO_KEYS_MESSAGE)
            self._hosts.require_own_host(scope["headers"])

    def _check_key(self, scope: Scope) -> None:
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = header.partition(b" ")
        roles = find_key_roles(self._keys, key.strip() if scheme.lower() == b"bearer" else b"")
        needed = ROLE_BY_PATH.get(scope["path"], "admin")
        if not roles:
            raise RequestRefused(
                401, "no valid key: send one as 'authorization: Bearer <key>'", headers=[BEARER_CHALLENGE]
            )
        if not roles & {needed, "admin"}:
            raise RequestRefused(403, f"this key is for {' and '.join(sorted(roles))}, and this takes one for {needed}")


def find_key_roles(keys: KeyDigests, key: bytes) -> set[Role]:
    """Find the roles of a key, in the same time whichever key it is, valid or not.

    Args:
        keys: As returned by `read_keys`.
        key: The key that was sent; empty for none.

    Returns:
        Its roles; empty for an unknown key.
    """
    digest = _digest(key)
    return {role for known, role in keys if hmac.compare_digest(known, digest)}


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
