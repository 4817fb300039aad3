"""Files of a source as plain ones on this machine: decompressed, in UTF-8, and fetched from wherever they are."""

import codecs
import contextlib
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from fsspec.implementations.local import LocalFileSystem

from penumbra.core.raw_files import hash_md5
from penumbra.core.text.quoting import list_names
from penumbra.sources.tables.locations import TableFile, list_store_errors, raise_unreachable

PIECE_BYTES = 1 << 22
ALL_BYTES = bytes(range(256))
DAMAGE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, zlib.error)  # what decompression raises
NAMED_ENCODING = 'its encoding to be named, such as encoding="cp1252" in the source, or --encoding'
BZ2_DAMAGE = "Invalid data stream"  # the words of a mere OSError


def is_text_encoding(encoding: str) -> bool:
    """Return whether text of any file can be read by this `encoding`, as its name is one of Python's."""
    try:
        b"-".decode(encoding, "replace")
    except (LookupError, ValueError):  # of names that are no encoding of files' text, such as idna
        return False
    return True


def open_plain_file(file: TableFile, encoding: str, folder: Path) -> Path:
    """Get a file as a plain one on this machine, in UTF-8 if it is text.

    Args:
        file: The file.
        encoding: The encoding of text.
        folder: A folder for a copy of what is compressed, encoded otherwise, or elsewhere.

    Returns:
        The file itself, or its copy, which is made once.

    Raises:
        ValueError: The file isn't in that encoding, or can't be decompressed, or is an archive of several.
        ConnectionError: Its store can't be reached.
    """
    if _is_plain(file, encoding) and isinstance(file.store, LocalFileSystem) and not file.compression:
        return Path(file.path)
    copy = _place_copy(file, encoding, folder)
    if not copy.exists():
        _copy_file(file, encoding, copy)
    return copy


def fetch_anew(file: TableFile, encoding: str, folder: Path) -> TableFile:
    """Fetch a file whose store doesn't tell when it changes.

    Args:
        file: The file.
        encoding: The encoding of text.
        folder: A folder for a copy.

    Returns:
        The file with a fingerprint of its content, by which `open_plain_file` finds the copy.

    Raises:
        ValueError: The file isn't in that encoding, or can't be decompressed, or is an archive of several.
        ConnectionError: Its store can't be reached.
    """
    copy = folder / "anew"
    _copy_file(file, encoding, copy)
    fetched = replace(file, fingerprint=hash_md5(copy))
    copy.replace(_place_copy(fetched, encoding, folder))
    return fetched


def _is_plain(file: TableFile, encoding: str) -> bool:
    """Whether its bytes stay as they are, once it is decompressed."""
    return file.is_parquet or codecs.lookup(encoding).name == "utf-8"


def _place_copy(file: TableFile, encoding: str, folder: Path) -> Path:
    return folder / f"{file.fingerprint}-{encoding}"


def _copy_file(file: TableFile, encoding: str, copy: Path) -> None:
    """Copy a file, decompressed and in UTF-8."""
    aside = copy.with_suffix(".part")
    try:
        with _open_file(file) as source, aside.open("wb") as target:
            if _is_plain(file, encoding):
                shutil.copyfileobj(source, target, PIECE_BYTES)
            else:
                _write_utf8(source, target, encoding, file.name)
    except UnicodeError as error:  # of a missing mark of the encoding it is no UnicodeDecodeError
        raise ValueError(f"{file.name} isn't in {encoding}: {error}; expected {NAMED_ENCODING}") from None
    except DAMAGE as error:
        _raise_damaged(file, error)
    except list_store_errors() as error:
        if str(error) == BZ2_DAMAGE:
            _raise_damaged(file, error)
        raise_unreachable(f"{file.name} can't be fetched", error)
    aside.replace(copy)


@contextlib.contextmanager
def _open_file(file: TableFile) -> Iterator[Any]:
    """Open a file decompressed. Raises ValueError for an archive of several files, of which fsspec takes the first."""
    if file.compression != "zip":
        with file.store.open(file.path, "rb", compression=file.compression) as source:
            yield source
        return
    with file.store.open(file.path, "rb") as packed, zipfile.ZipFile(packed) as archive:
        found = [each.filename for each in archive.infolist() if not each.is_dir() and not _is_side_file(each.filename)]
        if len(found) != 1:
            raise ValueError(f"the archive of {file.name} has {len(found)} files: expected one; {list_names(found)}")
        with archive.open(found[0]) as source:
            yield source


def _is_side_file(name: str) -> bool:
    """Whether a program has put a file into an archive for itself."""
    return name.startswith("__MACOSX/")


def _write_utf8(source: Any, target: Any, encoding: str, name: str) -> None:
    """Write text in UTF-8. Raises ValueError where it is that already, though each byte should be a character."""
    decoder = codecs.getincrementaldecoder(encoding)()
    utf8 = codecs.getincrementaldecoder("utf-8")() if _has_single_bytes(encoding) else None
    is_ascii, piece = True, b"\n"
    while piece:
        piece = source.read(PIECE_BYTES)
        target.write(decoder.decode(piece, final=not piece).encode())
        try:
            is_ascii &= utf8 is None or utf8.decode(piece, final=not piece).isascii()
        except UnicodeDecodeError:
            utf8 = None
    if utf8 and not is_ascii:
        said = 'expected encoding="utf-8" in the source, or --encoding utf-8'
        raise ValueError(f"{name} isn't in {encoding}, as all that isn't ASCII in it is UTF-8: {said}")


def _has_single_bytes(encoding: str) -> bool:
    """Whether each byte is a character: text beyond ASCII in such an encoding hardly ever is UTF-8 as a whole."""
    is_utf = codecs.lookup(encoding).name.startswith("utf")
    return not is_utf and len(ALL_BYTES.decode(encoding, "replace")) == len(ALL_BYTES)


def _raise_damaged(file: TableFile, error: Exception) -> NoReturn:
    raise ValueError(f"{file.name} isn't whole, or isn't what its suffix says ({file.compression}): {error}") from None
