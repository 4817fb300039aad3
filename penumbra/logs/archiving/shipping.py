"""Shipping of a log's archive: parts are copied under names that nobody else writes, and read again there.

| name in the archive                                    | content                                          |
|--------------------------------------------------------|--------------------------------------------------|
| `<log>/<day>.<part>.<service>.<sha256>.parquet`        | a part; `sha256` are 16 digits of its checksum   |
| `<log>/<day>.<part>.<service>.<sha256>.json`           | its facts, as they are beside the part here      |

`service` is an id of the log's folder, which stays the same, so several services can ship to one archive. The same
content has the same name: to ship it again changes nothing. Their union is read by a log whose folder `days` has the
facts of all, which `fetch_parts` brings. Up to version 0.1.0 a name was `<log>/<day>.<part>.parquet`; facts that name
one are still read.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs.append_log import SEGMENT_SUFFIX
from penumbra.logs.archiving.archive_parts import (
    DAYS_FOLDER,
    FACTS_SUFFIX,
    TABLE_SUFFIX,
    ArchivePart,
    DamagedArchive,
    FailureHandler,
    handle_failure,
    list_parts,
    raise_failure,
    write_part_facts,
)
from penumbra.storage.atomic import replace_file
from penumbra.storage.locks import hold_file_lock
from penumbra.storage.sealed import read_derived_file, replace_sealed_file
from penumbra.storage.shared.object_store import ObjectStore

SERVICE_FILE = "service"  # in the folder of the parts
NAME_DIGITS = 16


def ship_parts(folder: Path, archive: str, on_failure: FailureHandler = raise_failure) -> list[str]:
    """Copy the parts that weren't shipped yet to the archive.

    Args:
        folder: The log's folder.
        archive: A folder or a URL that fsspec knows.
        on_failure: Takes the error of a part that isn't shipped: DamagedArchive where the copy reads back differently,
            OSError where the archive can't be written; other stores raise errors of their own.

    Returns:
        The addresses of the copies.
    """
    shipped: list[str] = []
    for path, part in list_parts(folder):
        if not part.shipped:
            with handle_failure(on_failure):
                shipped.append(_ship_part(path, part, archive, read_service_id(folder)))
    return shipped


def fetch_parts(folder: Path, archive: str, patience: float | None = None) -> int:
    """Bring the parts that aren't here, so that readers of the log take them in: tables first, then their facts.

    They are those of other services, and own ones that were shipped after the backup that the folder comes from.

    Args:
        folder: The log's folder.
        archive: A folder or a URL that fsspec knows; nothing needs to be there.
        patience: Seconds for which a store that is away is tried again; None for the usual time.

    Returns:
        How many parts were new.

    Raises:
        DamagedArchive: A table isn't what was shipped.
        StoreError: The archive refuses, or is away.
    """
    store, here = ObjectStore(archive, patience), list_parts(folder)
    known = {path.stem for path, _ in here} | {part.sha256[:NAME_DIGITS] for _, part in here}
    new = [name for name in sorted(store.list_versions()) if _is_new_part(name, known)]
    for name in new:
        _fetch_part(folder, store, name)
    return len(new)


def _is_new_part(name: str, known: set[str]) -> bool:
    """Own parts are here under shorter names, and known by the digits of their checksum."""
    stem = name.removesuffix(FACTS_SUFFIX)
    return stem != name and known.isdisjoint((stem, stem.rpartition(".")[2]))


def _fetch_part(folder: Path, store: ObjectStore, name: str) -> None:
    part, facts = msgspec.json.decode(store.read(name), type=ArchivePart), folder / DAYS_FOLDER / name
    facts.parent.mkdir(parents=True, exist_ok=True)
    if not all((folder / (name + SEGMENT_SUFFIX)).exists() for name in part.segments):
        content = store.read(name.removesuffix(FACTS_SUFFIX) + TABLE_SUFFIX)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise DamagedArchive(f"{part.shipped} is not what was shipped")
        replace_file(facts.with_suffix(TABLE_SUFFIX), content)
    write_part_facts(facts, part)


def require_whole_copy(path: Path, part: ArchivePart) -> None:
    """Read a part's copy in the archive again. One that is lost or replaced is shipped anew by the next `ship_parts`.

    Args:
        path: The path of the part's facts.
        part: The facts of a part that was shipped.

    Raises:
        DamagedArchive: The copy isn't what was shipped.
        OSError: Where the archive can't be reached; other stores raise errors of their own.
    """
    store, place = _open_place(part.shipped)
    if not _has_content(store, place, part.sha256):
        address, part.shipped = part.shipped, ""
        if path.with_suffix(TABLE_SUFFIX).exists():
            write_part_facts(path, part)
        raise DamagedArchive(
            f"{address} is not what was shipped any more: what is here of it is kept, and shipped again"
        )


def _ship_part(path: Path, part: ArchivePart, archive: str, service: str) -> str:
    store, root = _open_place(archive)
    place = f"{root.rstrip('/')}/{path.stem}.{service}.{part.sha256[:NAME_DIGITS]}"
    if not _has_content(store, place + TABLE_SUFFIX, part.sha256):
        store.makedirs(root, exist_ok=True)
        store.put_file(str(path.with_suffix(TABLE_SUFFIX)), place + TABLE_SUFFIX)
        if not _has_content(store, place + TABLE_SUFFIX, part.sha256):
            store.rm_file(place + TABLE_SUFFIX)
            raise DamagedArchive(f"{place}{TABLE_SUFFIX} in {archive} is not what was shipped")
    part.shipped = str(store.unstrip_protocol(place + TABLE_SUFFIX))
    store.pipe_file(place + FACTS_SUFFIX, msgspec.json.encode(part))
    write_part_facts(path, part)
    return part.shipped


def _open_place(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    import fsspec  # loads asyncio, for which no reader of a log waits

    return fsspec.core.url_to_fs(url)


def read_service_id(folder: Path) -> str:
    """Return the id of the log in `folder`, which the first call makes; a damaged one is made anew."""
    file = folder / DAYS_FOLDER / SERVICE_FILE
    if (found := read_derived_file(file)) is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(file.with_suffix(".lock")):  # several processes begin at once
            if (found := read_derived_file(file)) is None:
                replace_sealed_file(file, found := secrets.token_hex(4).encode())
    return found.decode()


def renew_service_id(folder: Path) -> None:
    """Give the log in `folder` another id, as a copy of it has the same one."""
    replace_sealed_file(folder / DAYS_FOLDER / SERVICE_FILE, secrets.token_hex(4).encode())


def _has_content(store: Any, place: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(store.cat_file(place)).hexdigest() == sha256
    except FileNotFoundError:
        return False
