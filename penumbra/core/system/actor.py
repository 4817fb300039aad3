"""The actor that the ledger names; a module of its own, as a rollback can't wait for heavy imports."""

import os
import pwd


def get_actor() -> str:
    """Return the user that runs this process, who answers for what is entered into the ledger.

    Returns:
        The name of the account, whatever the environment says, or "user <id>" where the id has no name.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container a user id may have no name
        return f"user {os.getuid()}"
