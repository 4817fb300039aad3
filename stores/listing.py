"""What a folder holds, as DVC describes it: each file's md5, and one md5 of them all. Needs no DVC."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from stores.checksums import Checksums

Listing = dict[str, str]


def directory_md5(folder: Path, checksums: Checksums) -> str:
    """DVC's md5 of a directory, computed without importing DVC ("" for a folder that isn't there)."""
    if not folder.is_dir():
        return ""
    return md5_of(listing_of(folder, files_below(folder), checksums))


def files_below(folder: Path) -> list[Path]:
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def listing_of(folder: Path, files: Iterable[Path], checksums: Checksums) -> Listing:
    """The md5 of each of these files below the folder, by its path there."""
    start = len(str(folder)) + 1
    return {str(path)[start:].replace(os.sep, "/"): checksums.md5(path) for path in files}


def md5_of(listing: Listing) -> str:
    """DVC's md5 of a directory with these files."""
    return hashlib.md5(encoded(listing)).hexdigest() + ".dir"


def named_in(text: str) -> str:
    """The md5 that the text of a `.dvc` file names."""
    lines = [line.strip(" -") for line in text.splitlines()]
    return next((line.removeprefix("md5: ") for line in lines if line.startswith("md5: ")), "")


def encoded(listing: Listing) -> bytes:
    entries = [{"md5": listing[name], "relpath": name} for name in sorted(listing)]
    return json.dumps(entries, sort_keys=True).encode()


def new_in(listing: Listing, known: Listing) -> Listing:
    there = set(known.values())
    return {name: md5 for name, md5 in listing.items() if md5 not in there}
