"""Results of costly work, kept on disk: whatever is asked for a second time, by any process, is there already."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from penumbra.storage.locks import hold_file_lock

NamedArrays = Mapping[str, np.ndarray]


class ArrayCache:
    """Named sets of arrays in a folder. Where several processes want the same one, the first makes it and the others
    wait. A result is written as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, make: Callable[[], NamedArrays]) -> dict[str, np.ndarray]:
        """What is kept under this name, or else what `make` gives."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            with hold_file_lock(self.folder / f"{name}.lock"):
                if not path.exists():
                    self._write(path, make())
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def _write(self, path: Path, result: NamedArrays) -> None:
        aside = path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(aside, **result)  # type: ignore[arg-type]
        os.replace(aside, path)
