"""The `.dvc` file that names a version of the data folder: read and written as DVC does, without importing DVC."""

import functools
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.text.quoting import shorten_text

MD5_PATTERN = re.compile(r"[0-9a-f]{32}\.dir")


class DamagedDvcFile(ValueError):
    """A `.dvc` file can't be used; names the file, what was expected and what was found."""


@dataclass(frozen=True)
class DvcFile:
    """The content of a `.dvc` file with one folder.

    Attributes:
        md5: The folder's version: DVC's md5 of its listing, with the suffix `.dir`.
        document: The whole content, as DVC wrote it; never changed.
    """

    md5: str
    document: dict[str, Any]

    @property
    def meta(self) -> Mapping[str, Any] | None:
        """The content of the file's `meta`; None where it has none."""
        found = self.document.get("meta")
        return found if isinstance(found, dict) else None

    def format(self, path: str) -> str:
        """Write the same content for a folder at another place.

        Args:
            path: The folder's path, relative to the file.

        Returns:
            The text of a `.dvc` file.
        """
        (entry,) = self.document["outs"]
        return _format_yaml({**self.document, "outs": [{**entry, "path": path}]})


def read_dvc_content(file: Path) -> bytes:
    """Return the content of a `.dvc` file; empty where there is no such `file`."""
    return file.read_bytes() if file.exists() else b""


@functools.lru_cache(maxsize=8)  # a command reads the same one several times, and YAML takes its milliseconds
def parse_dvc_file(text: str | bytes, name: str) -> DvcFile:
    """Read the text of a `.dvc` file.

    Args:
        text: The file's content, YAML; bytes are UTF-8.
        name: What the file is called in an error.

    Returns:
        The version that the file names, and the whole content.

    Raises:
        DamagedDvcFile: Where the text is no YAML, or not one folder's md5 and path.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise DamagedDvcFile(
            f"{name} is damaged: expected YAML as DVC writes it, found none{where}; {_EXPECTATION}"
        ) from None
    if (wrong := _find_fault(document)) is not None:
        raise DamagedDvcFile(f"{name} is damaged: expected {wrong}; {_EXPECTATION}")
    return DvcFile(document["outs"][0]["md5"], document)


def format_dvc_file(md5: str, size: int, files: int, path: str, meta: Mapping[str, Any] | None = None) -> str:
    """Write the text of a `.dvc` file as `dvc add` does.

    Args:
        md5: The folder's version, with the suffix `.dir`.
        size: Bytes of all the folder's files.
        files: How many files the folder has.
        path: The folder's path, relative to the file.
        meta: What is kept under `meta`, of which DVC makes nothing.

    Returns:
        YAML.
    """
    outs = [{"md5": md5, "size": size, "nfiles": files, "hash": "md5", "path": path}]
    return _format_yaml({"outs": outs, **({"meta": dict(meta)} if meta else {})})


_EXPECTATION = "restore it from git, or remove it and run `penumbra ingest`"


def _find_fault(document: Any) -> str | None:
    """What a document lacks to be a `.dvc` file of one folder, with what it has instead; None where it is one."""
    outs = document.get("outs") if isinstance(document, dict) else document
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        return f"`outs` with one entry, found {_shorten(outs)}"
    md5, path = outs[0].get("md5"), outs[0].get("path")
    if not isinstance(md5, str) or not MD5_PATTERN.fullmatch(md5):
        return f"`md5` with 32 hexadecimal digits and `.dir`, found {_shorten(md5)}"
    if not isinstance(path, str) or not path:
        return f"`path` with the folder's name, found {_shorten(path)}"
    return None


def _shorten(value: Any) -> str:
    return shorten_text("nothing" if value is None else repr(value), 60)


def _format_yaml(document: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(document, text)
    return text.getvalue()
