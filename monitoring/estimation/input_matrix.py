"""Matrices of the columns that a model reads, as they are logged: for models that are fitted to watch it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from penumbra.core.bins import assign_category_bins, cast_countable, list_top_categories

MAX_WORDS = 252  # of a category: histogram boosting takes 255 values, of which unknown words and null are one each
LARGEST_NUMBER = 1e100  # what is beyond it overflows between two bins, and is as good as missing


@dataclass(frozen=True)
class InputColumns:
    """The columns of a matrix.

    Attributes:
        numbers: The names of the columns of numbers, which stand first.
        words: The vocabulary of each column of categories.
    """

    numbers: tuple[str, ...]
    words: Mapping[str, list[str]]

    @classmethod
    def learn(cls, reference: pl.DataFrame) -> "InputColumns":
        """Learn which columns there are from a model's reference.

        Args:
            reference: Rows with the columns that the model reads. One that can't be counted, such as a date, is left
                out.

        Returns:
            The columns, with the most frequent words of each category.
        """
        plain = cast_countable(reference, reference.columns)
        numbers = tuple(name for name, dtype in plain.schema.items() if dtype == pl.Float64)
        return cls(numbers, {n: list_top_categories(plain[n], MAX_WORDS) for n in plain.columns if n not in numbers})

    @property
    def categorical(self) -> list[int]:
        """The positions of the categories in the matrix."""
        return list(range(len(self.numbers), len(self.numbers) + len(self.words)))

    def build_matrix(self, rows: pl.DataFrame) -> np.ndarray:
        """Build the matrix of some rows.

        Args:
            rows: Rows with these columns; n rows.

        Returns:
            float64 [n, columns]: NaN for a missing number; categories as codes from 0, which is a missing one.
        """
        numbers = rows.select(pl.col(name).cast(pl.Float64, strict=False) for name in self.numbers)
        codes = [assign_category_bins(rows[name].cast(pl.String), words) for name, words in self.words.items()]
        known = numbers.fill_null(np.nan).to_numpy().reshape(rows.height, -1)
        known = np.where(np.abs(known) <= LARGEST_NUMBER, known, np.nan)
        return np.column_stack([known, *codes]) if codes else known
