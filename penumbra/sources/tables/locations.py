"""The files of a source: found by paths, folders, patterns and URLs, and opened as plain files on this machine."""

import codecs
import gzip
import importlib.util
import lzma
import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import infer_compression

from penumbra.core.project_root import find_project_root
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_address, mask_text

PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", *PARQUET_SUFFIXES)
FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
PACKAGE_SCHEME = "package"
PATTERN_CHARACTERS = re.compile(r"[*?\[]")
PIECE_BYTES = 1 << 22
DAMAGE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, zlib.error)  # what decompression raises
BZ2_DAMAGE = "Invalid data stream"  # the words of a mere OSError


@dataclass(frozen=True)
class TableFile:
    """A file of a source.

    Attributes:
        name: Its path below the folder or the pattern that it was found by, without the suffix of a compression.
        path: Its path in the store.
        store: fsspec's file system.
        compression: How it is compressed, in fsspec's words; None where it isn't.
        fingerprint: What is another when the file has changed.
    """

    name: str
    path: str
    store: Any
    compression: str | None
    fingerprint: str

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet; anything else is CSV."""
        return is_parquet(self.name)


def is_parquet(name: str) -> bool:
    """Check whether a file is Parquet.

    Args:
        name: Its name.

    Returns:
        Whether it is by its suffix; anything else is CSV.
    """
    return name.lower().endswith(PARQUET_SUFFIXES)


def find_table_files(paths: Sequence[str | Path]) -> list[TableFile]:
    """Find the files of a source.

    Args:
        paths: Files, folders (all tables below them) and patterns such as `orders/**/*.csv`, on this machine (from the
            project's folder), as URLs that fsspec knows, or as "package://name/path" in an installed package.

    Returns:
        The files in the order of the paths, and by name among those of one path.

    Raises:
        FileNotFoundError: A path leads to no file.
        ValueError: A file is found twice, or two have the same name.
        ConnectionError: A store can't be reached.
    """
    files = [file for path in paths for file in _find_files(str(path))]
    if twice := [path for (path, _), count in Counter((file.path, file.store) for file in files).items() if count > 1]:
        raise ValueError(f"{mask_address(twice[0])} is found by two of the paths: expected each file by one of them")
    counts = Counter(file.name for file in files)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"two files are called {repeated[0]}: expected a name of its own for each")
    return files


def open_plain_file(file: TableFile, encoding: str, folder: Path) -> Path:
    """Get a file as a plain one on this machine, in UTF-8 if it is text.

    Args:
        file: The file.
        encoding: The encoding of text.
        folder: A folder for a copy of what is compressed, encoded otherwise, or elsewhere.

    Returns:
        The file itself, or its copy, which is made once.

    Raises:
        ValueError: The file isn't in that encoding, or can't be decompressed.
        ConnectionError: Its store can't be reached.
    """
    is_utf8 = file.is_parquet or codecs.lookup(encoding).name == "utf-8"
    if is_utf8 and isinstance(file.store, LocalFileSystem) and not file.compression:
        return Path(file.path)
    copy = folder / file.fingerprint
    if not copy.exists():
        _copy_file(file, "" if is_utf8 else encoding, copy)
    return copy


def _find_files(path: str) -> Iterator[TableFile]:
    address = _make_address(path)
    try:
        store, place = fsspec.core.url_to_fs(address)
        store.invalidate_cache()
        found, root = _list_paths(store, place)
    except FileNotFoundError:
        found, root = [], ""
    except _list_store_errors() as error:
        _raise_unreachable(f"{mask_address(address)} can't be reached", error)
    if not found:
        raise FileNotFoundError(f"no file is found by {mask_address(path)!r}: expected CSV or Parquet")
    for each in found:
        name = _get_file_path(each).removeprefix(root).lstrip("/")
        compression = infer_compression(name)
        plain_name = name.rpartition(".")[0] if compression else name
        yield TableFile(plain_name, each, store, compression, str(store.ukey(each)))


def _make_address(path: str) -> str:
    """A path as one that doesn't depend on the working folder, or as a URL of fsspec."""
    if get_scheme(path) != PACKAGE_SCHEME:
        return path if get_scheme(path) else str(find_project_root() / Path(path).expanduser())
    package, _, inner = path.partition("://")[2].partition("/")
    spec = importlib.util.find_spec(package)  # which doesn't import it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {package}, which carries {inner}, is not installed")
    return str(Path(next(iter(spec.submodule_search_locations))) / inner)


def _list_paths(store: Any, place: str) -> tuple[list[str], str]:
    """The paths of the files, sorted, and the folder that their names begin from."""
    if store.isfile(place):
        return [place], _get_parent(place)
    if store.isdir(place):
        return sorted(path for path in store.find(place) if _is_table(path.removeprefix(place))), place
    found = sorted(path for path in store.glob(place) if not store.isdir(path))
    return found, _get_parent(PATTERN_CHARACTERS.split(place)[0])


def _get_parent(path: str) -> str:
    return _get_file_path(path).rpartition("/")[0]


def _get_file_path(path: str) -> str:
    """A path in a store without what may follow it in a web address, such as a token."""
    return urlsplit(path).path if get_scheme(path) in ("http", "https") else path


def _is_table(name: str) -> bool:
    """Whether a file in a folder is a table; what programs leave beside, such as _SUCCESS or ~$a.csv, isn't."""
    parts = name.strip("/").split("/")
    suffix = parts[-1].rpartition(".")[0] if infer_compression(name) else parts[-1]
    return suffix.lower().endswith(TABLE_SUFFIXES) and not any(part.startswith((".", "_", "~$")) for part in parts)


def _copy_file(file: TableFile, encoding: str, copy: Path) -> None:
    """Copy a file, decompressed and in UTF-8. An empty encoding copies bytes."""
    aside = copy.with_suffix(".part")
    try:
        with file.store.open(file.path, "rb", compression=file.compression) as source, aside.open("wb") as target:
            if encoding:
                _write_utf8(source, target, encoding)
            else:
                shutil.copyfileobj(source, target, PIECE_BYTES)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name} isn't in {encoding}, the encoding of the source: {error}") from None
    except DAMAGE as error:
        _raise_damaged(file, error)
    except _list_store_errors() as error:
        if str(error) == BZ2_DAMAGE:
            _raise_damaged(file, error)
        _raise_unreachable(f"{file.name} can't be fetched", error)
    aside.replace(copy)


def _write_utf8(source: Any, target: Any, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    while piece := source.read(PIECE_BYTES):
        target.write(decoder.decode(piece).encode())
    target.write(decoder.decode(b"", final=True).encode())


def _raise_damaged(file: TableFile, error: Exception) -> NoReturn:
    raise ValueError(f"{file.name} isn't whole, or isn't what its suffix says ({file.compression}): {error}") from None


def _raise_unreachable(what: str, error: Exception) -> NoReturn:
    """Raise ConnectionError for anything but an error about the file itself, which is raised as it is."""
    if isinstance(error, FILE_ERRORS):
        raise error
    raise ConnectionError(f"{what}: {type(error).__name__}: {mask_text(str(error))}") from error


def _list_store_errors() -> tuple[type[Exception], ...]:
    """What stores raise that can't be reached or lack credentials; botocore's errors only where it is installed."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)
