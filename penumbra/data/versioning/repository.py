"""The DVC repository that keeps every version of the data folder, as the settings have it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import DataSettings
from penumbra.core.text.addresses import make_absolute

os.environ.setdefault("DVC_NO_ANALYTICS", "1")
REPOSITORY_CONFIG = "[core]\n    no_scm = true\n    site_cache_dir = .dvc/tmp/site\n"  # of one that no checkout has


def get_repository_root(data: DataSettings) -> Path:
    """Return the folder of the DVC repository that versions the folder of `data`."""
    return data.folder.absolute().parent


@contextlib.contextmanager
def open_repository(data: DataSettings) -> Iterator[Any]:
    """Open the repository; one is made in a folder that has none, as the empty work folder of a pod.

    Args:
        data: The settings' section `data`.

    Yields:
        DVC's `Repo`, which waits for others that hold its lock.

    Raises:
        DvcException: The repository can't be opened.
        OSError: It can't be made.
    """
    from dvc.repo import Repo

    root = get_repository_root(data)
    if not (root / ".dvc").exists():
        make_repository(root)
    config = build_dvc_config(data)
    config["core"]["no_scm"] = not is_git_checkout(root)
    with Repo(str(root), config=config, _wait_for_lock=True) as repo:
        repo.scm_context.quiet = True
        yield repo


def make_repository(root: Path) -> None:
    """Make a DVC repository that needs no git in the folder `root`, which has none."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(REPOSITORY_CONFIG)


def build_dvc_config(data: DataSettings) -> dict[str, Any]:
    """Build DVC's configuration with the remote of the settings alone.

    Args:
        data: The settings' section `data`.

    Returns:
        What `Repo` takes as `config`.
    """
    if not data.remote:
        return {"core": {"remote": ""}}
    return {"core": {"remote": "settings"}, "remote": {"settings": {"url": make_absolute(data.remote)}}}
