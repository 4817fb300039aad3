"""DVC's description of a folder, computed without DVC: each file's md5, and one md5 of all of them."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path

import msgspec

from penumbra.core.text.quoting import is_encodable
from penumbra.data.versioning.checksums import ChecksumCache, read_folder_stat

FileListing = dict[str, str]


class ListedFile(msgspec.Struct):
    """An entry of DVC's listing: a file's md5, and its path in the folder."""

    md5: str
    relpath: str


_decoder = msgspec.json.Decoder(list[ListedFile])


def compute_directory_md5(folder: Path, checksums: ChecksumCache) -> str:
    """Compute DVC's md5 of a folder.

    Args:
        folder: The folder.
        checksums: The cache of its files' checksums, which is not saved here.

    Returns:
        32 hexadecimal digits and `.dir`; "" for a folder that doesn't exist.
    """
    if not folder.is_dir():
        return ""
    return compute_listing_md5(build_listing(folder, list_files(folder), checksums))


def list_files(folder: Path, checksums: ChecksumCache | None = None) -> list[str]:
    """List all files below a folder.

    Args:
        folder: The folder; what isn't one that can be read has none.
        checksums: Where folders are kept to which nothing was added since they were listed; None to list them all.

    Returns:
        The paths, in no particular order.
    """
    files, folders = list[str](), [str(folder)]
    while folders:
        path = folders.pop()
        with contextlib.suppress(OSError):
            if checksums and (known := checksums.find_files(path)):
                files += known
            else:
                found, within = _list_folder(path, checksums)
                files += found
                folders += within
    return files


def _list_folder(folder: str, checksums: ChecksumCache | None) -> tuple[list[str], list[str]]:
    """The paths of the files and of the folders in a folder, which is noted where it has regular files alone."""
    files, folders, stat = list[str](), list[str](), read_folder_stat(folder)
    with os.scandir(folder) as found:
        entries = [*found]
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif not (entry.is_symlink() and os.path.isdir(entry.path)):  # where a link leads may be unreadable
            files.append(entry.path)
    if checksums and entries and all(entry.is_file(follow_symlinks=False) for entry in entries):
        checksums.note_files(folder, stat, [entry.name for entry in entries])
    return files, folders


def build_listing(folder: Path, files: Iterable[str], checksums: ChecksumCache) -> FileListing:
    """Compute the md5 of files below a folder.

    Args:
        folder: The folder.
        files: Paths of files below it.
        checksums: The cache of checksums, which is not saved here.

    Returns:
        The md5 by the file's path relative to the folder, with `/` as separator.

    Raises:
        OSError: Where one of the files can't be read, or has a name that isn't UTF-8, which no listing can have.
    """
    start = len(str(folder)) + 1
    paths = [*files]
    _require_text(paths)
    return {path[start:].replace(os.sep, "/"): md5 for path, md5 in zip(paths, checksums.look_up(paths), strict=True)}


def _require_text(paths: Sequence[str]) -> None:
    if not is_encodable("".join(paths)):
        wrong = next(path for path in paths if not is_encodable(path))
        said = "the file's name isn't UTF-8: rename it, or move it out of the data folder"
        raise OSError(errno.EILSEQ, said, wrong)


def compute_listing_md5(listing: FileListing) -> str:
    """Return DVC's md5 of a folder with the files of `listing`: 32 hexadecimal digits and `.dir`."""
    return hash_listing(encode_listing(listing))


def compute_growing_md5s(parts: Iterable[FileListing]) -> Iterator[str]:
    """Compute DVC's md5 of a folder that grows; what comes after all that is there already is hashed once.

    Args:
        parts: The listings of what is added, one after the other.

    Yields:
        The md5 with the first part, with the first two, and so on, as of `compute_listing_md5`.
    """
    listing, last, digest = FileListing(), "", hashlib.md5(b"[")
    for part in parts:
        is_after, separator = min(part, default=last) > last, b", " if listing else b""
        listing |= part
        if is_after:
            digest.update(separator + encode_listing(part)[1:-1])
        else:
            digest = hashlib.md5(encode_listing(listing)[:-1])
        last = max([last, *part])
        whole = digest.copy()
        whole.update(b"]")
        yield whole.hexdigest() + ".dir"


def hash_listing(encoded: bytes) -> str:
    """Return the md5 of the listing `encoded` by `encode_listing`: 32 hexadecimal digits and `.dir`."""
    return hashlib.md5(encoded).hexdigest() + ".dir"


def encode_listing(listing: FileListing) -> bytes:
    """Return the JSON in which DVC keeps a folder's `listing`, byte for byte."""
    entries = [f'{{"md5": "{listing[name]}", "relpath": {encode_basestring_ascii(name)}}}' for name in sorted(listing)]
    return f"[{', '.join(entries)}]".encode()


def decode_listing(encoded: bytes) -> FileListing:
    """Return the listing of which DVC keeps the JSON `encoded`; raises msgspec.DecodeError where it is none."""
    return {entry.relpath: entry.md5 for entry in _decoder.decode(encoded)}


def select_new_files(listing: FileListing, known: FileListing) -> FileListing:
    """Return the files of `listing` whose content no file of the listing `known` has, with their md5 by path."""
    there = set(known.values())
    return {name: md5 for name, md5 in listing.items() if md5 not in there}
