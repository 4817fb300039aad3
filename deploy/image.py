"""`penumbra image`: the folder that the cluster's image is built of, with the code of one commit and its revision."""

import shutil
import subprocess
from pathlib import Path

from deploy.bento import describe_carried_secrets
from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.registry.code_version import REVISION_FILE, NoCodeRevision, read_code_revision
from penumbra.storage.atomic import fill_folder_aside

IMAGE_FOLDER = "image"  # below the settings' `service.state`
IMAGE_PATHS = (
    *("penumbra", "problem", "flows", "service", "monitoring"),
    *("settings.toml", "data.dvc", ".dvc", ".dvcignore", ".metaflow"),
    *("locks/cluster.lock", "locks/runtime.lock"),  # the second describes the environment of a training
)


class ImageNotStaged(RuntimeError):
    """There is no commit that the image could be of, or the settings have a secret; the message tells which."""


def stage_image_context(settings: Settings, root: Path = PROJECT_ROOT) -> Path:
    """Copy what the cluster's image consists of, as it was committed, to a folder for `docker build`.

    Args:
        settings: `service.state` is where the folder is.
        root: The checkout.

    Returns:
        The folder, which replaces that of an earlier call; the file REVISION in it has the commit's hash.

    Raises:
        ImageNotStaged: The checkout differs from its last commit, there is none, or settings.toml has a secret.
    """
    revision = _require_commit(root)
    if secrets := describe_carried_secrets(root / "settings.toml", "image"):
        raise ImageNotStaged(secrets)
    folder = (settings.service.state / IMAGE_FOLDER).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    with fill_folder_aside(folder) as aside:
        for name in _list_committed_files(root):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, aside / name)
        (aside / REVISION_FILE).write_text(f"{revision}\n")
    return folder


def _require_commit(root: Path) -> str:
    if not is_git_checkout(root):
        raise ImageNotStaged(f"{root} is no git checkout: an image is of one commit")
    try:
        revision = read_code_revision(root)
    except NoCodeRevision as error:
        raise ImageNotStaged(str(error)) from None
    if revision.endswith("+changes"):
        raise ImageNotStaged(
            f"{root} differs from its last commit: an image is of one commit, so that what it makes can be reproduced; "
            "commit, or stash, first (`git status` lists what differs)"
        )
    return revision


def _list_committed_files(root: Path) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", "--", *IMAGE_PATHS]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name]
