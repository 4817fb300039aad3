"""What a folder holds, as DVC describes it: each file's md5, and one md5 of them all. Needs no DVC."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from penumbra.data.checksums import ChecksumCache

FileListing = dict[str, str]


def compute_directory_md5(folder: Path, checksums: ChecksumCache) -> str:
    """DVC's md5 of a directory, computed without importing DVC ("" for a folder that isn't there)."""
    if not folder.is_dir():
        return ""
    return compute_listing_md5(build_listing(folder, list_files(folder), checksums))


def list_files(folder: Path) -> list[Path]:
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def build_listing(folder: Path, files: Iterable[Path], checksums: ChecksumCache) -> FileListing:
    """The md5 of each of these files below the folder, by its path there."""
    start = len(str(folder)) + 1
    return {str(path)[start:].replace(os.sep, "/"): checksums.md5(path) for path in files}


def compute_listing_md5(listing: FileListing) -> str:
    """DVC's md5 of a directory with these files."""
    return hashlib.md5(encode_listing(listing)).hexdigest() + ".dir"


def encode_listing(listing: FileListing) -> bytes:
    entries = [{"md5": listing[name], "relpath": name} for name in sorted(listing)]
    return json.dumps(entries, sort_keys=True).encode()


def select_new_files(listing: FileListing, known: FileListing) -> FileListing:
    there = set(known.values())
    return {name: md5 for name, md5 in listing.items() if md5 not in there}
