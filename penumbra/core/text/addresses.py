"""Addresses of settings: a URL, or a path on this machine."""

import os
import re
from pathlib import Path

SCHEME_PATTERN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=[/:])")  # a single letter is a drive, not a scheme


def get_scheme(address: str) -> str:
    """Get the scheme of a URL.

    Args:
        address: A URL, or a path.

    Returns:
        The scheme in small letters, such as "s3", or "mlflow-artifacts" of mlflow-artifacts:/…; "" of a path.
    """
    found = SCHEME_PATTERN.match(address)
    return found[1].lower() if found else ""


def make_absolute(address: str) -> str:
    """Make a path absolute, from the working directory; `~` is the home folder.

    Args:
        address: A URL, or a path.

    Returns:
        The absolute path; a URL as it is.
    """
    return address if get_scheme(address) else str(Path(os.path.expanduser(address)).absolute())
