"""`problem/source.py`: where raw batches come from, and how text that the contract doesn't read becomes values."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from penumbra.drafting.draft import NumberFormat, ProblemDraft
from penumbra.drafting.files.python_code import Brackets, Code, format_code, format_text_constant, format_value
from penumbra.sources.databases import FILE_DATABASES

CLASSES = {"files": "TableFiles", "sql": "SqlQuery"}


def render_source(draft: ProblemDraft) -> str:
    """Write `problem/source.py`.

    Args:
        draft: The draft.

    Returns:
        The file's text.
    """
    source, conversions = draft.source, list(_list_conversions(draft))
    readers = sorted({str(code).partition("(")[0] for code in conversions})
    places: list[Code] = [format_value(source.location), *(["QUERY"] if source.kind == "sql" else [])]
    call = _write_call(
        f"SOURCE = {CLASSES[source.kind]}", places, {"time": source.time, "period": source.period, **source.options}
    )
    lines = [
        '"""Where raw batches come from, and how they are read."""\n',
        f"from penumbra.sources import {', '.join([CLASSES[source.kind], *readers])}\n",
        *([format_text_constant("QUERY", source.query)] if source.kind == "sql" else []),
        format_code(call),
        *([format_code(Brackets("CONVERSIONS = [", conversions, "]"))] if conversions else []),
        "",
    ]
    return "\n".join(lines)


def note_place(location: str) -> Iterator[str]:
    """Note that the data lie where only this machine finds them.

    Args:
        location: The path, glob or URL that the source names.

    Yields:
        A sentence, or nothing for what lies below the project's folder or on a server.
    """
    if (path := find_local_path(location)) and path.is_absolute():
        yield (
            f"problem/source.py reads {path}, a path of this machine: a colleague's clone or a pipeline can't read it. "
            "Put the data below the project's folder, or behind a URL, and name that place there"
        )


def find_local_path(location: str) -> PurePath | None:
    """Find where data lie on this machine.

    Args:
        location: The path, glob or URL that the source names.

    Returns:
        The path or glob, relative to the project's folder where it lies in it; None for what is on a server.
    """
    dialect, mark, address = location.partition("?")[0].rpartition("://")
    is_database = dialect.partition("+")[0] in FILE_DATABASES
    path = address.removeprefix("/") if is_database else address if mark else location
    return PurePath(path) if path and (is_database or not mark or dialect == "file") else None


def _write_call(function: str, positional: Sequence[Code], named: Mapping[str, Any]) -> Code:
    return Brackets(f"{function}(", [*positional, *(f"{name}={format_value(value)}" for name, value in named.items())])


def _list_conversions(draft: ProblemDraft) -> Iterator[Code]:
    """A conversion for each way of spelling numbers or times, of all columns that have it."""
    numbers: dict[NumberFormat, list[str]] = {}
    times: dict[str, list[str]] = {}
    for column in draft.columns:
        if column.role != "unused" and column.number_format:
            numbers.setdefault(column.number_format, []).append(column.name)
        elif column.role != "unused" and column.time_format:
            times.setdefault(column.time_format, []).append(column.name)
    defaults = vars(NumberFormat())
    for spelling, names in numbers.items():
        differing = {option: value for option, value in vars(spelling).items() if value != defaults[option]}
        yield _write_call("read_numbers", list(map(format_value, names)), differing)
    for form, names in times.items():
        yield _write_call("read_times", list(map(format_value, names)), {"form": form})
