"""Results of costly work on disk, one file each: what any process computed once is there for the next."""

import io
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import numpy as np

from penumbra.storage.locks import hold_file_lock
from penumbra.storage.sealed import read_derived_file, write_sealed_aside

NamedArrays = Mapping[str, np.ndarray]
Value = TypeVar("Value")
RECEIPTS_FOLDER = "receipts"


@dataclass(frozen=True)
class CacheFormat(Generic[Value]):
    """How values are kept in files.

    Attributes:
        suffix: The ending of the files' names.
        write: Writes a value to a binary file.
        read: Reads a value back; raises ValueError or EOFError for a file that isn't one.
    """

    suffix: str
    write: Callable[[IO[bytes], Value], object]
    read: Callable[[IO[bytes]], Value]


class FileCache(Generic[Value]):
    """Values by name, each in a file of its own that is written as a whole or not at all."""

    def __init__(self, folder: Path, file_format: CacheFormat[Value]) -> None:
        """`folder` is created by the first value; `file_format` says how values are written and read."""
        self.folder = folder
        self.format = file_format

    def has(self, name: str) -> bool:
        """Return whether there is a value called `name`."""
        return self._path(name).exists()

    def find(self, name: str) -> Value | None:
        """Read a value.

        Args:
            name: The value's name.

        Returns:
            The value, or None where there is none of this name or its file is damaged, which is logged.
        """
        content = read_derived_file(self._path(name))
        if content is None:
            return None
        try:
            return self.format.read(io.BytesIO(content))
        except (ValueError, EOFError):
            return None

    def save(self, name: str, value: Value) -> None:
        """Keep a value, in place of an earlier one of the same name.

        Args:
            name: The value's name: a file name without its suffix.
            value: Anything that the format can write.

        Raises:
            OSError: Where the file can't be written; an earlier value is then unchanged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_sealed_aside(self._path(name)) as aside, aside.open("wb") as file:
            self.format.write(file, value)

    def get_or_make(self, name: str, make: Callable[[], Value]) -> Value:
        """Read a value, or make and keep it where there is none.

        Where several processes want the same one, the first makes it and the others wait.

        Args:
            name: The value's name.
            make: Computes the value.

        Returns:
            The value as it was read back from the file.
        """
        if (value := self.find(name)) is not None:
            return value
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(self.folder / f"{name}.lock"):
            if (value := self.find(name)) is not None:
                return value
            self.save(name, make())
        with self._path(name).open("rb") as file:
            return self.format.read(file)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{self.format.suffix}"


class RunReceipts:
    """Results of earlier training runs by the fingerprint of their inputs, so that a second run has nothing to do."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the settings' `training.folder`; the receipts are in its subfolder `receipts`."""
        self.begun_file = folder / "registration.msgpack"  # of a run whose model is being registered
        self._texts = FileCache(folder / RECEIPTS_FOLDER, TEXT)
        self._facts = FileCache(folder / RECEIPTS_FOLDER, JSON)

    def has_receipt(self, fingerprint: str) -> bool:
        """Return whether a run with this `fingerprint` has ended."""
        return self._texts.has(fingerprint)

    def save(self, fingerprint: str, text: str) -> None:
        """Record that a run with this fingerprint has ended, with its summary `text`, which becomes the latest."""
        self._texts.save(fingerprint, text)
        self.write_latest(text)

    def write_latest(self, text: str) -> None:
        """Write the summary `text` of a run to `latest.txt`, which `make train` prints."""
        self._texts.save("latest", text)

    def read_latest(self) -> str | None:
        """Return the summary that `write_latest` wrote last, or None."""
        return self._texts.find("latest")

    def save_facts(self, fingerprint: str, facts: Any) -> None:
        """Keep `facts`, anything that JSON can hold, under this fingerprint."""
        self._facts.save(fingerprint, facts)

    def facts(self, fingerprint: str) -> Any:
        """Return the facts that were kept under this fingerprint, or None."""
        return self._facts.find(fingerprint)


def _write_arrays(file: IO[bytes], arrays: NamedArrays) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _read_arrays(file: IO[bytes]) -> NamedArrays:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


ARRAYS: CacheFormat[NamedArrays] = CacheFormat(".npz", _write_arrays, _read_arrays)
PICKLED: CacheFormat[Any] = CacheFormat(".pickle", lambda file, value: pickle.dump(value, file), pickle.load)
JSON: CacheFormat[Any] = CacheFormat(".json", lambda file, value: file.write(json.dumps(value).encode()), json.load)
TEXT: CacheFormat[str] = CacheFormat(
    ".txt", lambda file, text: file.write(text.encode()), lambda file: file.read().decode()
)
