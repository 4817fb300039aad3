"""Files below a folder."""

from pathlib import Path


def read_files(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder.

    Args:
        folder: The folder.

    Returns:
        The content of each file by its path below the folder, with slashes.
    """
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
