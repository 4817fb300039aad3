"""Who approves by the command: the holder of the caller's key, or without keys the machine's user."""

import os
from collections.abc import Mapping

from penumbra.approvals.requests import ApprovalRefused
from penumbra.core.actor import get_actor
from penumbra.core.settings import API_KEY_PREFIX
from service.http.access import OWN_KEY_VARIABLE, find_key_holder, read_keys


def find_approver(environ: Mapping[str, str] = os.environ) -> str:
    """Find the name under which the caller approves.

    Args:
        environ: The environment, with the keys of those who may approve, and the caller's own. No key is an argument
            of a command, which other users of the machine could read.

    Returns:
        The name of the key's holder; the machine's user where no key to approve is set.

    Raises:
        ApprovalRefused: There are keys to approve, and the caller's isn't one.
        SettingsError: The variables of the keys are wrong.
    """
    keys = read_keys(environ)
    if not any(key.role == "approve" for key in keys):
        return get_actor()
    holder = find_key_holder(keys, environ.get(OWN_KEY_VARIABLE, "").strip().encode())
    if not holder.roles & {"approve", "admin"}:
        raise ApprovalRefused(
            f"to approve takes a key, as {API_KEY_PREFIX}APPROVE is set: "
            f"put yours into the environment variable {OWN_KEY_VARIABLE}"
        )
    return holder.name
