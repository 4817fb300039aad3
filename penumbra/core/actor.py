"""The actor that the ledger names; a module of its own, as a rollback can't wait for heavy imports."""

import getpass
import os


def get_actor() -> str:
    """Return the user that runs this process, who answers for what is entered into the ledger.

    Returns:
        The login name, or "user <id>" where the id has no name.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container a user id may have no name
        return f"user {os.getuid()}"
