"""A secret that is planted where settings can carry one, and the search for it in everything that was written."""

import gzip
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

PLANTED = "Planted5ecret"


def find_planted_files(folder: Path) -> list[str]:
    """The files below a folder with the secret in them, in plain text, compressed, pickled, or in a database's rows."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in paths if any(PLANTED.encode() in each for each in _read(path))]


def _read(path: Path) -> Iterator[bytes]:
    """The contents of a file; none of one that a running process has removed meanwhile, as SQLite its journals."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    yield str(path).encode() + content
    with suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(content)
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as db:
            yield "\n".join(db.iterdump()).encode()
