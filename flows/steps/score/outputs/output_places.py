"""Where answers go: to a file for each table and one beside it, none of which is another's, or is read as input."""

import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from penumbra.core.text.addresses import get_scheme, make_absolute
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.masking import mask_address
from penumbra.core.text.quoting import is_encodable
from penumbra.sources.tables.locations import (
    PARQUET_SUFFIXES,
    TABLE_SUFFIXES,
    TableFile,
    find_store,
    follow_links,
    list_found,
    list_store_errors,
    raise_unreachable,
)

OUTPUT_SUFFIXES = (*PARQUET_SUFFIXES, ".csv")
OTHER_SUFFIX_PATTERN = re.compile(r"[^/:]/[^/]+(\.[A-Za-z]{2,}\d?)$")  # what looks like the ending of a file's name
REJECTED_PATTERN = re.compile(r"\.rejected\.[a-z]+$", re.IGNORECASE)
QUOTED_PATTERN = re.compile(r"'([^']+)'|\"([^\"]+)\"")


class OutputRefused(LastingRefusal):
    """Answers can't go where they are wanted; says why, and what was expected."""


def locate_output(output: str) -> str:
    """Locate where answers go.

    Args:
        output: A file that ends in .csv or .parquet, or a folder; a path or a URL.

    Returns:
        The absolute address, always the same one for the same path from anywhere; without a slash at its end, unless
        it is that of a folder that is called as a file is.

    Raises:
        OutputRefused: The name isn't UTF-8, or ends as that of a file of another format and isn't that of a folder; or
            it is that of rows without an answer, which are beside the answers of another output.
    """
    if not is_encodable(output):
        raise OutputRefused(f"the output {output!r} has a name that isn't UTF-8: expected another one")
    slash = "/" * (output.endswith("/") and is_file_address(output.rstrip("/")))
    address = make_absolute(output).rstrip("/") + slash
    path = None if get_scheme(address) else Path(address)
    found = None if is_file_address(address) else OTHER_SUFFIX_PATTERN.search(address)
    if found and not output.endswith("/") and not (path and path.is_dir()):
        raise OutputRefused(
            f"the output {mask_address(output)} ends in {found[1]}: expected {' or '.join(OUTPUT_SUFFIXES)}, or a "
            "folder; for one that is new and called so, a / at the end"
        )
    if is_file_address(address) and REJECTED_PATTERN.search(address):
        raise OutputRefused(
            f"the output {mask_address(output)} is called as the rows without an answer of another output are: "
            "expected a name that doesn't end in .rejected before its suffix"
        )
    return str(path.resolve()) + slash if path and ".." in path.parts else address


def is_file_address(address: str) -> bool:
    """Return whether an `address` is that of one file, by its ending; else it is that of a folder."""
    return address.lower().endswith(OUTPUT_SUFFIXES)


def name_output(output: str, table: str) -> str:
    """Name the file of a table's answers.

    Args:
        output: Where answers go: a file, or a folder.
        table: The table's name.

    Returns:
        The address of a file; in a folder it is Parquet, whatever the table is.
    """
    return output if is_file_address(output) else f"{output.rstrip('/')}/{table.rpartition('.')[0] or table}.parquet"


def name_rejected(output: str) -> str:
    """Return the address of the rows without an answer, beside that of the answers, which is `output`."""
    stem, _, suffix = output.rpartition(".")
    return f"{stem}.rejected.{suffix}"


def name_outputs(output: str, tables: Sequence[str]) -> list[str]:
    """Name the files of the answers of several tables.

    Args:
        output: Where answers go, absolute: a file, or a folder.
        tables: The tables' names.

    Returns:
        The address of each table's answers, in the order of the tables.

    Raises:
        OutputRefused: Two files would have one address: of answers, or of rows without an answer.
    """
    outputs, owners = [name_output(output, table) for table in tables], dict[str, str]()
    for table, answers in zip(tables, outputs, strict=True):
        for address, owner in ((answers, table), (name_rejected(answers), f"the rejected rows of {table}")):
            if (other := owners.setdefault(address, owner)) != owner:
                expected = "a folder" if is_file_address(output) else "names that differ before their endings"
                said = f"{owner} and {other} would both become {mask_address(address)}"
                raise OutputRefused(f"{said}: expected {expected}")
    return outputs


def keep_from_inputs(outputs: Sequence[str], source: str, files: Sequence[TableFile]) -> None:
    """Refuse outputs that would replace what is scored, or that the same command would score the next time.

    Args:
        outputs: The addresses of the answers of each table, absolute.
        source: A file, a folder, a pattern or a URL.
        files: The files that are found by it.

    Raises:
        OutputRefused: An output, or the file of the rejected rows beside it, is an input, or would be found as one.
        ConnectionError: The store can't be reached.
    """
    written = [address for output in outputs for address in (output, name_rejected(output))]
    inputs = {(file.store, follow_links(file.store, file.path)): file.name for file in files}
    for address in written:
        store, place = find_store(address)
        if name := inputs.get((store, follow_links(store, place))):
            raise OutputRefused(f"{mask_address(address)} is {name}, which is to be scored: expected another --out")
    if found := list_found(source, written):
        raise OutputRefused(
            f"answers in {mask_address(found[0])} would be scored themselves the next time, as {mask_address(source)} "
            "finds them: expected an --out outside of it"
        )


def keep_from_query(output: str, query: str) -> None:
    """Refuse an output that is among the files that a query reads, as `keep_from_inputs` does.

    Args:
        output: The address of the answers, absolute.
        query: The query; texts in quotation marks that end as tables do are taken for files.

    Raises:
        OutputRefused: The query names the output, or the file of the rejected rows beside it.
        ConnectionError: The store can't be reached.
    """
    for text in (single or double for single, double in QUOTED_PATTERN.findall(query)):
        if text.lower().endswith(TABLE_SUFFIXES) and get_scheme(text) == get_scheme(output):
            keep_from_inputs([output], make_absolute(text), [])


def require_writable(output: str) -> None:
    """Require that the files of a table can be written, before its rows are answered and logged.

    Args:
        output: The address of the answers. Its folder is created.

    Raises:
        OutputRefused: A file or a folder is in the way, or files can't be created there.
        ValueError: The library for such URLs isn't installed.
        ConnectionError: The store can't be reached, or refuses to write.
        OSError: The store refuses to write.
    """
    store, place = find_store(output)
    if isinstance(store, LocalFileSystem):
        _require_writable_path(Path(place))
        return
    probe = f"{output}.{secrets.token_hex(4)}.probe"
    try:
        with fsspec.open(probe, "wb") as file:
            file.write(b"")
        store.rm_file(find_store(probe)[1])
    except NotImplementedError:
        raise OutputRefused(
            f"{mask_address(output)} can't be written: expected a path, or a URL of a store that takes files"
        ) from None
    except list_store_errors() as error:
        raise_unreachable(f"{mask_address(output)} can't be written", error)


def _require_writable_path(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputRefused(
            f"{path} can't be written, as {error.filename or path.parent} can't: {error.strerror}"
        ) from None
    for each in (path, Path(name_rejected(str(path)))):
        if each.is_dir():
            raise OutputRefused(f"{each} is a folder: expected the name of a file, or a folder by another name")
