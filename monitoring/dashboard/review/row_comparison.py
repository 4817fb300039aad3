"""A row beside a model's reference rows: which columns mattered for its prediction, and which rows are near."""

from functools import cached_property

import numpy as np
import polars as pl

from penumbra.core.columns import LABEL_COLUMN
from penumbra.registry.bundles.bundle import Bundle, read_reference_rows

REPLACEMENT_ROWS = 32  # of the reference, whose values replace each column's in turn
MAX_COMPARED_ROWS = 20_000


class RowComparison:
    """The reference rows of one model version, for comparison with single rows."""

    def __init__(self, loaded: Bundle) -> None:
        """Read the reference rows that have a label.

        Args:
            loaded: The model version.
        """
        rows = read_reference_rows(loaded.path).filter(pl.col(LABEL_COLUMN).is_not_null())
        self._bundle = loaded
        self._rows = rows.gather_every(max(1, -(-rows.height // MAX_COMPARED_ROWS)))

    def measure_relevance(self, row: pl.DataFrame) -> dict[str, float]:
        """Measure how much each column matters for the prediction of a row.

        Each column's value is replaced by those of some reference rows, all others staying as they are; a column
        matters as much as the prediction changes by that, in the mean of the absolute changes.

        Args:
            row: One row with the contract's columns.

        Returns:
            By column the mean absolute change: of the probability (for several classes half the sum over them), or of
            the value; 0 where no feature reads it. Empty without reference rows.

        Source:
            Robnik-Sikonja & Kononenko, "Explaining Classifications for Individual Instances", IEEE TKDE, 2008, there
            with the change of the mean, in which opposite changes cancel.
        """
        columns = [name for name in row.columns if name in self._rows.columns]
        if self._rows.is_empty() or not columns:
            return {}
        sample = self._rows.gather_every(max(1, self._rows.height // REPLACEMENT_ROWS)).head(REPLACEMENT_ROWS)
        repeated = pl.concat([row] * sample.height)
        replaced = [repeated.with_columns(sample[name].cast(row.schema[name], strict=False)) for name in columns]
        outputs = self._bundle.score(pl.concat([row, *replaced])).astype(float)
        changes = np.abs(outputs[1:] - outputs[0])
        changes = changes.sum(axis=1) / 2 if changes.ndim > 1 else changes
        return dict(zip(columns, changes.reshape(len(columns), -1).mean(axis=1).tolist(), strict=True))

    def find_neighbours(self, row: pl.DataFrame, count: int) -> pl.DataFrame:
        """Find the reference rows nearest to a row, by what the model is given of them.

        Args:
            row: One row with the contract's columns.
            count: How many to find.

        Returns:
            At most `count` rows with the contract's columns and `penumbra.label`, the nearest first. The distance is
            the mean over the model's inputs: of a number the difference in standard deviations of the reference, of a
            category 1 where it differs; 1 where one of the two is missing.

        Source:
            Gower, "A General Coefficient of Similarity and Some of Its Properties", Biometrics, 1971, there with ranges
            in place of standard deviations, which one odd value would stretch.
        """
        gaps = np.abs(self._matrix - self._encode(row)) / self._scales
        gaps = np.where(np.isnan(self._matrix) & np.isnan(self._encode(row)), 0, np.where(np.isnan(gaps), 1, gaps))
        categories = self._bundle.inputs.categorical
        gaps[:, categories] = gaps[:, categories] > 0
        return self._rows[np.argsort(gaps.mean(axis=1), kind="stable")[:count]]

    @cached_property
    def _matrix(self) -> np.ndarray:
        return self._encode(self._rows)

    @cached_property
    def _scales(self) -> np.ndarray:
        """Standard deviation of each input, 1 where it is constant or missing in all rows."""
        known = ~np.isnan(self._matrix)
        counts = np.maximum(known.sum(axis=0), 1)
        means = np.where(known, self._matrix, 0).sum(axis=0) / counts
        spreads = np.sqrt((np.where(known, self._matrix - means, 0) ** 2).sum(axis=0) / counts)
        return np.where(spreads > 0, spreads, 1.0)

    def _encode(self, rows: pl.DataFrame) -> np.ndarray:
        return self._bundle.inputs.encode_rows(rows)
