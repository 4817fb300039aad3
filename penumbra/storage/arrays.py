"""The matrices of one training run on disk: the run's processes share them by memory map instead of copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ArrayStore:
    """Named arrays, all with the rows of the same batches in the same order; `sizes` gives each batch's rows."""

    folder: Path
    sizes: Mapping[str, int]

    def write(self, name: str, array: np.ndarray) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(self.path(name), array)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def read(self, name: str) -> np.ndarray:
        return np.load(self.path(name), mmap_mode="r")

    def part(self, batches: Sequence[str], name: str) -> np.ndarray:
        """The rows of neighbouring batches in one of the arrays."""
        return self.read(name)[self._rows(batches)]

    def _rows(self, batches: Sequence[str]) -> slice:
        names = list(self.sizes)
        first, last = names.index(batches[0]), names.index(batches[-1])
        ends = np.cumsum([0, *self.sizes.values()])
        return slice(int(ends[first]), int(ends[last + 1]))
