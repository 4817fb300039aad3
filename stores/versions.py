"""Data versions: the DVC md5 of the data folder, and the DVC repository that keeps every version of it."""

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("DVC_NO_ANALYTICS", "1")


@dataclass(frozen=True)
class Version:
    md5: str
    changed: bool


def directory_md5(folder: Path) -> str:
    """DVC's md5 of a directory, computed without importing DVC ("" for a folder that isn't there)."""
    if not folder.is_dir():
        return ""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listing = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.relative_to(folder).as_posix()}
        for path in files
    ]
    listing.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def recorded_md5(pointer: Path) -> str:
    """The version that a `.dvc` file names ("" where there is none)."""
    if not pointer.exists():
        return ""
    lines = [line.strip(" -") for line in pointer.read_text().splitlines()]
    return next((line.removeprefix("md5: ") for line in lines if line.startswith("md5: ")), "")


def record(folder: Path) -> Version:
    """Make the folder's content a version: in DVC's cache and its default remote, if there is one, named by a file.

    That file, `<folder>.dvc`, is left alone when it names this content already, so git stays clean.
    """
    pointer = folder.with_suffix(".dvc")
    before, now = recorded_md5(pointer), directory_md5(folder)
    if before == now and _cached(folder, now):
        return Version(now, changed=False)
    from dvc.config import NoRemoteError
    from dvc.repo import Repo

    with Repo(str(folder.parent), _wait_for_lock=True) as repo:
        repo.scm_context.quiet = True
        if before == now:
            repo.commit(str(pointer), force=True)
        else:
            repo.add(str(folder))
        with contextlib.suppress(NoRemoteError):
            repo.push()
    return Version(recorded_md5(pointer), changed=before != now)


def _cached(folder: Path, md5: str) -> bool:
    return (folder.parent / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).exists()
