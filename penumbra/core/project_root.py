"""The folder of the project: the checkout with `settings.toml`, `problem/` and `flows/`."""

from pathlib import Path

SETTINGS_FILE = "settings.toml"
PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def find_project_root(start: Path) -> Path | None:
    """Find the project that a folder belongs to.

    Args:
        start: A folder.

    Returns:
        The nearest folder, from `start` upwards, that holds `settings.toml`; None if there is none.
    """
    start = start.absolute()
    return next((folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file()), None)


def locate_project() -> Path:
    """Locate the project of this code.

    Returns:
        The checkout that `penumbra` lies in; where it is installed elsewhere, the checkout that the process works in,
        or else the folder it is installed in.
    """
    if (PACKAGE_PARENT / SETTINGS_FILE).is_file():
        return PACKAGE_PARENT
    return find_project_root(Path.cwd()) or PACKAGE_PARENT
