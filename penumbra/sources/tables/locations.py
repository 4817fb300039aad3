"""The files of a source: found by paths, folders, patterns and URLs."""

import contextlib
import importlib
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate, infer_compression, tokenize

from penumbra.core.project_root import find_project_root
from penumbra.core.raw_files import FILE_ERRORS
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_address, mask_text
from penumbra.core.text.quoting import is_encodable

PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", *PARQUET_SUFFIXES)
PACKAGE_SCHEME, WEB_SCHEMES = "package", ("http", "https")
WEB_MARKS = ("ETag", "Content-MD5", "Digest", "Last-Modified")  # of which one changes with a file on the web
LIBRARY_ERRORS = (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError"))  # that are no OSError
PATTERN_CHARACTERS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class TableFile:
    """A file of a source.

    Attributes:
        name: Its path below the folder or the pattern that it was found by, without the suffix of a compression.
        path: Its path in the store.
        store: fsspec's file system.
        compression: How it is compressed, in fsspec's words; None where it isn't.
        fingerprint: What is another when the file has changed.
        tells_changes: Whether the store gives such a fingerprint; not all web servers do.
    """

    name: str
    path: str
    store: Any
    compression: str | None
    fingerprint: str
    tells_changes: bool

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
        ValueError: A file is found twice, two have the same name, one has a name that isn't UTF-8, or a URL's scheme
            has no library here.
        ConnectionError: A store can't be reached.
    """
    files = [file for path in paths for file in _find_files(str(path))]
    if wrong := [file.name for file in files if not is_encodable(file.name)]:
        raise ValueError(f"the name of the file {wrong[0]!r} isn't UTF-8: rename it")
    if twice := [path for (path, _), count in Counter((file.path, file.store) for file in files).items() if count > 1]:
        raise ValueError(f"{mask_address(twice[0])} is found by two of the paths: expected each file by one of them")
    counts = Counter(file.name for file in files)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"two files are called {repeated[0]}: expected a name of its own for each")
    return files


def list_found(path: str | Path, addresses: Sequence[str]) -> list[str]:
    """List the addresses at which `find_table_files` would find a file, were there one.

    Args:
        path: What would find it, as `find_table_files` takes it.
        addresses: Absolute paths, or URLs.

    Returns:
        Those of the addresses that the path leads to.

    Raises:
        ConnectionError: The store can't be reached.
    """
    store, root = _resolve(_make_address(str(path)))
    try:
        is_file, is_folder = store.isfile(root), store.isdir(root)
    except list_store_errors() as error:
        raise_unreachable(f"{mask_address(str(path))} can't be reached", error)

    def is_found(address: str) -> bool:
        other, place = _resolve(address)
        if other != store:
            return False
        if is_folder and not is_file:
            below = place.removeprefix(f"{root.rstrip('/')}/")
            return below != place and _is_table(below)
        return place == root if is_file else re.fullmatch(glob_translate(root), place) is not None

    return list(filter(is_found, addresses))


def find_store(address: str) -> tuple[Any, str]:
    """Find the store of an address.

    Args:
        address: A path, or a URL that fsspec knows.

    Returns:
        fsspec's file system, and the place in it.

    Raises:
        ValueError: fsspec doesn't know such URLs, or the library for them isn't installed.
    """
    try:
        store, place = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ValueError(f"{mask_address(address)} can't be reached: {error}") from None
    return store, place


def follow_links(store: Any, place: str) -> str:
    """Return where a `place` in a `store` is, whichever links of this machine's file system lead there."""
    return os.path.realpath(place) if isinstance(store, LocalFileSystem) else place


def raise_unreachable(what: str, error: Exception) -> NoReturn:
    """Raise what a store has raised, as an error of the connection unless it is about the file itself.

    Args:
        what: What can't be done, as the beginning of a sentence.
        error: The error.

    Raises:
        ConnectionError: The store can't be reached; names why.
        OSError: The error itself, where the file is missing or can't be read.
    """
    if isinstance(error, FILE_ERRORS):
        raise error
    raise ConnectionError(f"{what}: {type(error).__name__}: {mask_text(str(error))}") from error


def list_store_errors() -> tuple[type[Exception], ...]:
    """List what stores raise that can't be reached or lack credentials.

    Returns:
        Types of exceptions; those of libraries only where they are installed.
    """
    found: list[type[Exception]] = [OSError]
    for module, name in LIBRARY_ERRORS:
        with contextlib.suppress(ImportError):
            found.append(getattr(importlib.import_module(module), name))
    return tuple(found)


def _find_files(path: str) -> Iterator[TableFile]:
    if not path:  # which would be the project's folder, with all that lies in it
        raise FileNotFoundError("an empty path leads to no file: expected CSV or Parquet")
    address = _make_address(path)
    try:
        store, place = find_store(address)
        store.invalidate_cache()
        found, root = _list_paths(store, place)
        fingerprints = [_read_fingerprint(store, each) for each in found]
    except FileNotFoundError:
        found, root, fingerprints = [], "", []
    except list_store_errors() as error:
        raise_unreachable(f"{mask_address(address)} can't be reached", error)
    if not found:
        raise FileNotFoundError(f"no file is found by {mask_address(path)!r}: expected CSV or Parquet")
    for each, (fingerprint, tells_changes) in zip(found, fingerprints, strict=True):
        name = _get_file_path(each).removeprefix(root).lstrip("/")
        compression = infer_compression(name)
        plain_name = name.rpartition(".")[0] if compression else name
        yield TableFile(plain_name, each, store, compression, fingerprint, tells_changes)


def _read_fingerprint(store: Any, path: str) -> tuple[str, bool]:
    """What is another when a file has changed, and whether it is: fsspec takes files on the web for unchanging."""
    if isinstance(store, LocalFileSystem):  # not by its mode, owner and links, which are no part of its content
        facts = os.stat(path)
        return tokenize(path, facts.st_size, facts.st_mtime_ns, facts.st_ino), True
    if get_scheme(path) not in WEB_SCHEMES:
        return str(store.ukey(path)), True
    state = store.info(path)
    return tokenize(state), any(mark in state for mark in WEB_MARKS)


def _make_address(path: str) -> str:
    """A path as one that doesn't depend on the working folder, or as a URL of fsspec."""
    if get_scheme(path) != PACKAGE_SCHEME:
        return path if get_scheme(path) else str(find_project_root() / Path(path).expanduser())
    package, _, inner = path.partition("://")[2].partition("/")
    spec = importlib.util.find_spec(package)  # which doesn't import it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {package}, which carries {inner}, is not installed")
    return str(Path(next(iter(spec.submodule_search_locations))) / inner)


def _resolve(address: str) -> tuple[Any, str]:
    store, place = find_store(address)
    return store, follow_links(store, place)


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
    return urlsplit(path).path if get_scheme(path) in WEB_SCHEMES else path


def _is_table(name: str) -> bool:
    """Whether a file in a folder is a table; what programs leave beside, such as _SUCCESS or ~$a.csv, isn't."""
    parts = name.strip("/").split("/")
    suffix = parts[-1].rpartition(".")[0] if infer_compression(name) else parts[-1]
    return suffix.lower().endswith(TABLE_SUFFIXES) and not any(part.startswith((".", "_", "~$")) for part in parts)
