"""Access control: API keys by role, read from the environment and from nowhere else.

PENUMBRA_KEYS__PREDICT, …__FEEDBACK, …__METRICS and …__ADMIN each hold keys separated by commas; those of people,
PENUMBRA_KEYS__REVIEW and PENUMBRA_KEYS__APPROVE, have the holder's name before each: "alice:KEY,bob:KEY".
They are not settings, because settings are recorded with every run. Keys are kept as digests, in the serving process
only: `python -m service` takes them out of the environment, and hands the digests to its workers in a file without a
name.
"""

import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from typing import IO, Any, Literal, NamedTuple, get_args

import msgspec

from penumbra.core.settings import API_KEY_PREFIX, ServiceSettings, SettingsError
from service.http.access.hosts import HostCheck, is_loopback
from service.http.refusals import RequestRefused

Role = Literal["predict", "feedback", "review", "approve", "metrics", "admin"]
Scope = MutableMapping[str, Any]

KEY_ROLES: tuple[Role, ...] = get_args(Role)
NAMED_ROLES = frozenset(["review", "approve"])  # what people do, each under their name
ADMIN_NAME = "admin"  # of whoever holds an admin key
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
PUBLIC_PATHS = frozenset(["/livez", "/healthz", "/readyz"])
ROLE_BY_PATH: dict[str, Role] = {
    "/predict": "predict",
    "/feedback": "feedback",
    "/metrics": "metrics",
}  # all other paths: admin, but
REVIEWS_PREFIX = "/reviews/"  # for what became of an answer, which is for whoever was answered
MIN_KEY_LENGTH = 16  # characters of a key
NO_KEYS_MESSAGE = "no keys are set, so only requests from this machine are answered: set PENUMBRA_KEYS__PREDICT"
HOST_REMEDY = (
    "send to 127.0.0.1 or localhost, or set PENUMBRA_KEYS__PREDICT; or service.open = true where a proxy asks for keys"
)
BEARER_CHALLENGE = (b"www-authenticate", b"Bearer")


class KeyDigest(NamedTuple):
    """An API key, by its digest.

    Attributes:
        digest: SHA-256 of the key.
        role: What it is for.
        name: Whose it is; "" for the roles of programs.
    """

    digest: bytes
    role: Role
    name: str = ""


class KeyHolder(NamedTuple):
    """Who holds a key, and what they may do.

    Attributes:
        name: The name that the key was given with, or "admin" for an admin key without one; "" for all others.
        roles: The key's roles; empty for an unknown key.
    """

    name: str
    roles: frozenset[Role]


KeyDigests = Sequence[KeyDigest]


def read_keys(environ: Mapping[str, str] = os.environ) -> KeyDigests:
    """Read the API keys of all roles from environment variables.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        The digest of each key with its role and name; empty where no key is set.

    Raises:
        SettingsError: A variable names an unknown role, a key is shorter than `MIN_KEY_LENGTH` characters or belongs to
            two people, or a name is missing or isn't plain.
    """
    digests: list[KeyDigest] = []
    for variable in (name for name in environ if name.startswith(API_KEY_PREFIX)):
        role = next((role for role in KEY_ROLES if variable == API_KEY_PREFIX + role.upper()), None)
        if role is None:
            expected = ", ".join(role.upper() for role in KEY_ROLES)
            raise SettingsError(f"environment variable {variable}: expected {API_KEY_PREFIX} and one of {expected}")
        entries = filter(None, (entry.strip() for entry in environ[variable].split(",")))
        digests += [_read_entry(variable, role, entry) for entry in entries]
    _require_one_holder(digests)
    return digests


def _read_entry(variable: str, role: Role, entry: str) -> KeyDigest:
    name, key = "", entry
    if role in NAMED_ROLES:
        name, separator, key = (part.strip() for part in entry.partition(":"))
        if not separator or not is_plain_name(name):
            raise SettingsError(
                f"environment variable {variable}: expected NAME:KEY, and again after a comma, each name of at most 40 "
                f"letters, digits, dots, dashes and underscores, a letter first, and not {ADMIN_NAME!r}"
            )
    if len(key) < MIN_KEY_LENGTH:
        raise SettingsError(
            f"environment variable {variable}: a key has {len(key)} characters, expected at least {MIN_KEY_LENGTH}"
        )
    return KeyDigest(_digest(key.encode()), role, name)


def _require_one_holder(keys: KeyDigests) -> None:
    holders: dict[bytes, str] = {}
    for key in filter(lambda key: key.name, keys):
        if holders.setdefault(key.digest, key.name) != key.name:
            raise SettingsError(
                f"{holders[key.digest]} and {key.name} have the same API key: each takes one of their own"
            )


def is_plain_name(name: str) -> bool:
    """Say whether a person may go by a name: in logs, on pages, in messages.

    Args:
        name: The name.

    Returns:
        True for a letter and at most 39 letters, digits, dots, dashes and underscores, but for "admin".
    """
    return PLAIN_NAME.fullmatch(name) is not None and name.lower() != ADMIN_NAME


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
        The keys as they were stored.
    """
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    return msgspec.json.decode(content, type=list[KeyDigest])


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
        roles = find_key_holder(self._keys, key.strip() if scheme.lower() == b"bearer" else b"").roles
        needed = find_needed_role(scope["path"])
        if not roles:
            raise RequestRefused(
                401, "no valid key: send one as 'authorization: Bearer <key>'", headers=[BEARER_CHALLENGE]
            )
        if not roles & {needed, "admin"}:
            raise RequestRefused(403, f"this key is for {' and '.join(sorted(roles))}, and this takes one for {needed}")


def find_key_holder(keys: KeyDigests, key: bytes) -> KeyHolder:
    """Find who holds a key and what it is for, in the same time whichever key it is, valid or not.

    Args:
        keys: As returned by `read_keys`.
        key: The key that was sent; empty for none.

    Returns:
        Its holder's name and its roles; no name and no roles for an unknown key.
    """
    digest = _digest(key)
    found = [known for known in keys if hmac.compare_digest(known.digest, digest)]
    roles = frozenset(known.role for known in found)
    name = max((known.name for known in found), default="")
    return KeyHolder(name or (ADMIN_NAME if "admin" in roles else ""), roles)


def find_needed_role(path: str) -> Role:
    """Return the role whose keys open a `path` of the service, beside those of admins."""
    return "predict" if path.startswith(REVIEWS_PREFIX) else ROLE_BY_PATH.get(path, "admin")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
