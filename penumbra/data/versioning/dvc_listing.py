"""DVC's description of a folder, computed without DVC: each file's md5, and one md5 of all of them."""

import contextlib
import hashlib
import os
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii
from pathlib import Path

import msgspec

from penumbra.data.versioning.checksums import ChecksumCache

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


def list_files(folder: Path) -> list[str]:
    """Return the paths of all files below `folder`, in no particular order; what isn't a readable folder has none."""
    files, folders = list[str](), [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not (entry.is_symlink() and os.path.isdir(entry.path)):  # where a link leads may be unreadable
                    files.append(entry.path)
    return files


def build_listing(folder: Path, files: Iterable[str], checksums: ChecksumCache) -> FileListing:
    """Compute the md5 of files below a folder.

    Args:
        folder: The folder.
        files: Paths of files below it.
        checksums: The cache of checksums, which is not saved here.

    Returns:
        The md5 by the file's path relative to the folder, with `/` as separator.
    """
    start = len(str(folder)) + 1
    return {path[start:].replace(os.sep, "/"): checksums.md5(path) for path in files}


def compute_listing_md5(listing: FileListing) -> str:
    """Return DVC's md5 of a folder with the files of `listing`: 32 hexadecimal digits and `.dir`."""
    return hash_listing(encode_listing(listing))


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
