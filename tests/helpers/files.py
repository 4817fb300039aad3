"""Files below a folder, and a folder that DVC works in."""

from pathlib import Path


def read_files(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder.

    Args:
        folder: The folder.

    Returns:
        The content of each file by its path below the folder, with slashes.
    """
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make_dvc_repository(folder: Path) -> None:
    """Make a folder one that DVC versions data in, without git; `Repo.init` opens it, too, and takes ten times as long.

    Args:
        folder: The folder.
    """
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
