"""Data versions: the DVC md5 of the data folder, and the DVC repository that keeps every version of it.

A version is named by the file `<folder>.dvc`, which git keeps. Its content is in DVC's cache and in the remote of the
settings (a folder, s3://…, gs://…: see https://dvc.org/doc/user-guide/data-management/remote-storage).
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import Data
from stores.checksums import Checksums
from stores.listing import Listing, directory_md5, encoded, files_below, listing_of, md5_of, named_in, new_in

os.environ.setdefault("DVC_NO_ANALYTICS", "1")


class CannotRestore(RuntimeError):
    """A data version can't be brought back; says which and where it was looked for."""


@dataclass(frozen=True)
class Version:
    """`changed` where the content is new; `problem` says why the remote doesn't have it, "" where it does."""

    md5: str
    changed: bool
    problem: str = ""


def pointer(data: Data) -> Path:
    """The file that names the version of the data folder."""
    return data.folder.with_name(data.folder.name + ".dvc")


def current(data: Data) -> str:
    """The version of what is in the data folder now ("" for a folder that isn't there)."""
    listing = _listing(data)
    return md5_of(listing) if listing else ""


def recorded(data: Data) -> str:
    """The version that the pointer file names ("" where there is none)."""
    file = pointer(data)
    return named_in(file.read_text()) if file.exists() else ""


def record(data: Data) -> Version:
    """Make the folder's content a version: into DVC's cache, then into the remote, then named by the pointer file.

    Only what is new is stored and pushed, so one more batch costs the same however many came before. The pointer file
    is left alone when it names this content already, so git stays clean. A remote that fails is told in the result,
    and tried again by the next call.
    """
    listing = _listing(data)
    before, now = recorded(data), md5_of(listing)
    pushed = _Pushed(data)
    if before == now and pushed.has(now) and _object(data, now).exists():
        return Version(now, changed=False)
    with _repository(data) as repo, repo.lock:
        known = _stored(data, before)
        _store(repo.cache.local, data.folder, new_in(listing, known), listing)
        problem = pushed.push(repo, listing)
    if before != now:
        _point(data, now, listing)
    return Version(now, changed=before != now, problem=problem)


def pull(data: Data) -> bool:
    """Bring the version that the pointer file names into the data folder; False where cache and remote lack it."""
    from dvc.exceptions import DvcException

    try:
        with _repository(data) as repo:
            logging.getLogger("dvc").setLevel(logging.ERROR)
            repo.pull()
    except (DvcException, OSError):
        return False
    return current(data) == recorded(data)


def restore(data: Data, text: str, into: Path) -> str:
    """Bring the version named in the text of a `.dvc` file into the folder `into`, which must not exist.

    Needs neither git nor the work tree, only DVC's cache or the remote. Returns the md5, which has been verified.
    Raises CannotRestore.
    """
    wanted = named_in(text)
    if into.exists():
        raise CannotRestore(f"{into} exists already: name a folder that doesn't")
    with tempfile.TemporaryDirectory(dir=_parent_of(into)) as aside:
        folder = Path(aside) / "data"
        _pull_aside(data, text, Path(aside), wanted)
        found = directory_md5(folder, Checksums(Path(aside) / "md5.json"))
        if found != wanted:
            raise CannotRestore(f"what came back is version {found or 'nothing'}, wanted was {wanted}")
        os.replace(folder, into)
    return found


def _pull_aside(data: Data, text: str, aside: Path, wanted: str) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    paths = [line.split("path: ")[1] for line in text.splitlines() if "path: " in line]
    (aside / "data.dvc").write_text(text.replace(f"path: {paths[0]}", "path: data"))
    config = _config(data) | {"cache": {"dir": str(_root(data) / ".dvc" / "cache")}}
    try:
        (aside / ".dvc").mkdir()
        (aside / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
        with Repo(str(aside), config=config) as repo:
            repo.pull()
    except (DvcException, OSError) as error:
        raise CannotRestore(
            f"data version {wanted} is neither in the cache nor in the remote {data.remote or '(none set)'}: {error}"
        ) from None


@contextlib.contextmanager
def _repository(data: Data) -> Iterator[Any]:
    from dvc.repo import Repo

    with Repo(str(_root(data)), config=_config(data), _wait_for_lock=True) as repo:
        repo.scm_context.quiet = True
        yield repo


class _Pushed:
    """Which versions the remote is known to have, and the push of what it lacks."""

    def __init__(self, data: Data):
        self.data = data
        self.receipts = data.derived / "pushed"

    def has(self, md5: str) -> bool:
        return not self.data.remote or (self.receipts / self._name(md5)).exists()

    def push(self, repo: Any, listing: Listing) -> str:
        """Why the remote doesn't have this version now, "" where it does or none is set."""
        if not self.data.remote:
            return ""
        from dvc.exceptions import DvcException

        try:
            self._transfer(repo, listing)
        except (DvcException, OSError) as error:
            return f"{type(error).__name__}: {error}"
        self.receipts.mkdir(parents=True, exist_ok=True)
        (self.receipts / self._name(md5_of(listing))).touch()
        return ""

    def _transfer(self, repo: Any, listing: Listing) -> None:
        cache, remote = repo.cache.local, repo.cloud.get_remote_odb()
        before = recorded(self.data)
        there = _stored(self.data, before) if self.has(before) else {}
        oids = [*new_in(listing, there).values(), md5_of(listing)]
        remote.add([cache.oid_to_path(oid) for oid in oids], cache.fs, oids, on_error=_raise)

    def _name(self, md5: str) -> str:
        return hashlib.md5(f"{md5} {_config(self.data)}".encode()).hexdigest()


def _store(cache: Any, folder: Path, new: Listing, listing: Listing) -> None:
    """Put files and the directory's listing into DVC's cache, which copies (or reflinks) and never moves them."""
    from dvc.fs import localfs

    paths = [str(folder / name) for name in new]
    cache.add(paths, localfs, list(new.values()), on_error=_raise)
    with tempfile.NamedTemporaryFile(dir=folder.absolute().parent, prefix=".listing-") as file:
        file.write(encoded(listing))
        file.flush()
        cache.add(file.name, localfs, md5_of(listing), on_error=_raise)


def _point(data: Data, md5: str, listing: Listing) -> None:
    """Write the pointer file as `dvc add` writes it."""
    size = sum((data.folder / name).stat().st_size for name in listing)
    text = f"outs:\n- md5: {md5}\n  size: {size}\n  nfiles: {len(listing)}\n  hash: md5\n  path: {data.folder.name}\n"
    aside = pointer(data).with_suffix(".dvc.new")
    aside.write_text(text)
    os.replace(aside, pointer(data))


def _listing(data: Data) -> Listing:
    checksums = Checksums(data.derived / "md5.json")
    listing = listing_of(data.folder, files_below(data.folder), checksums)
    checksums.save()
    return listing


def _stored(data: Data, md5: str) -> Listing:
    """The listing of a version in the cache, empty where the cache lacks it."""
    if not md5 or not _object(data, md5).exists():
        return {}
    return {entry["relpath"]: entry["md5"] for entry in json.loads(_object(data, md5).read_bytes())}


def _object(data: Data, md5: str) -> Path:
    return _root(data) / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def _raise(_: str, error: BaseException) -> None:
    raise error


def _config(data: Data) -> dict[str, Any]:
    if not data.remote:
        return {"core": {"remote": ""}}
    url = data.remote if "://" in data.remote else str(Path(data.remote).absolute())
    return {"core": {"remote": "settings"}, "remote": {"settings": {"url": url}}}


def _root(data: Data) -> Path:
    return data.folder.absolute().parent


def _parent_of(folder: Path) -> Path:
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return folder.absolute().parent
