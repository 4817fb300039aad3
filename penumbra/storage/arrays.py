"""The matrices of one training run on disk: the run's processes share them by memory map instead of copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ArrayStore:
    """Named arrays in a folder, all with the rows of the same batches in the same order.

    Attributes:
        folder: Where the arrays are, one `.npy` file each.
        sizes: The number of rows by batch, in the arrays' order.
    """

    folder: Path
    sizes: Mapping[str, int]

    def write(self, name: str, array: np.ndarray) -> None:
        """Write an array of any dtype as `name`, in place of an earlier one."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(self.path(name), array)

    def path(self, name: str) -> Path:
        """Return the path of the array `name`, whether or not it exists."""
        return self.folder / f"{name}.npy"

    def has(self, name: str) -> bool:
        """Return whether the array `name` was written."""
        return self.path(name).exists()

    def read(self, name: str) -> np.ndarray:
        """Map an array into memory without reading it.

        Args:
            name: The array's name.

        Returns:
            The array, read-only, with the shape and dtype that it was written with.

        Raises:
            FileNotFoundError: Where it wasn't written.
        """
        return np.load(self.path(name), mmap_mode="r")

    def part(self, batches: Sequence[str], name: str) -> np.ndarray:
        """Map the rows of neighbouring batches of one array into memory.

        Args:
            batches: Names of batches that follow each other in the arrays' order.
            name: The array's name.

        Returns:
            The rows from the first to the last of these batches, with the array's dtype.
        """
        return self.read(name)[self._rows(batches)]

    def _rows(self, batches: Sequence[str]) -> slice:
        names = list(self.sizes)
        first, last = names.index(batches[0]), names.index(batches[-1])
        ends = np.cumsum([0, *self.sizes.values()])
        return slice(int(ends[first]), int(ends[last + 1]))
