"""Who does something; apart from what takes long to import, as a rollback is in a hurry."""

import getpass
import os


def get_actor() -> str:
    """Who answers for what is entered into the ledger: the user that runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container a user id may have no name
        return f"user {os.getuid()}"
