"""Reading of lock files: which distributions an installation gets, with the hashes that it accepts."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

PIN_PATTERN = re.compile(r"^(\w[^\\\n]*?) *\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
IMAGE_PYTHON = "3.11"  # of deploy/Dockerfile
IMAGE_ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{IMAGE_PYTHON}.0",
    "python_version": IMAGE_PYTHON,
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class LockedDistribution:
    """A distribution of a lock: its name and version, and the SHA-256 digests of the files that may be installed."""

    name: str
    version: str
    sha256: tuple[str, ...]

    @property
    def package_url(self) -> str:
        """The package URL, such as `pkg:pypi/numpy@2.4.6`."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_locked_distributions(lock: Path) -> list[LockedDistribution]:
    """Read which distributions the serving image gets from a lock.

    Args:
        lock: A lock file with hashes, as `make lock` writes it; its markers are evaluated for the image.

    Returns:
        The distributions, in the order of the file.
    """
    pins = [(Requirement(pin), hashes) for pin, hashes in PIN_PATTERN.findall(lock.read_text())]
    return [
        LockedDistribution(pin.name, next(iter(pin.specifier)).version, tuple(re.findall(r"[0-9a-f]{64}", hashes)))
        for pin, hashes in pins
        if pin.marker is None or pin.marker.evaluate(IMAGE_ENVIRONMENT)
    ]
