"""Encoding of rows as the model's matrix: the problem's features with the category tables of training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.text.errors import describe_error
from penumbra.features import Feature, Number, Record
from penumbra.features.kinds import select_column

UNSEEN_CODE = -1.0
CategoryTables = Mapping[str, Mapping[str, int]]


class UncomputableFeature(ValueError):
    """A feature can't be computed for one of the rows; names it and says why."""


def list_feature_expressions(kinds: Sequence[Feature]) -> list[pl.Expr]:
    """Return an expression for each of the features `kinds`, under its name, as `derive_features` computes it."""
    return [kind.expr().alias(kind.name) for kind in kinds]


def derive_features(kinds: Sequence[Feature], rows: pl.DataFrame) -> pl.DataFrame:
    """Compute the features of each row.

    Args:
        kinds: The problem's features.
        rows: Rows with the columns that they read.

    Returns:
        A column for each feature, under its name: Float64, or String for a category; null is missing.

    Raises:
        UncomputableFeature: An expression fails for a row, as a strict cast does for a text that is no number.
    """
    return _select_features(kinds, list_feature_expressions(kinds), rows)


def _select_features(kinds: Sequence[Feature], expressions: Sequence[pl.Expr], rows: pl.DataFrame) -> pl.DataFrame:
    try:
        return rows.select(expressions)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        names = [kind.name for kind in kinds if not _can_compute(kind, rows)]
        raise UncomputableFeature(
            f"the feature {', '.join(names)} can't be computed: {describe_error(error)}; let what can't be computed be "
            "missing, by strict=False or default=None"
        ) from error


def _can_compute(kind: Feature, rows: pl.DataFrame) -> bool:
    try:
        rows.select(kind.expr())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False
    return True


def learn_category_tables(kinds: Sequence[Feature], features: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Give each value of each category a code 0, 1, 2, …, in alphabetical order.

    Args:
        kinds: The problem's features.
        features: The columns that `derive_features` gives (String for categories).

    Returns:
        By the name of a category: its codes by value.
    """
    names = [kind.name for kind in kinds if kind.categorical]
    return {name: {v: code for code, v in enumerate(features[name].drop_nulls().unique().sort())} for name in names}


@dataclass(frozen=True)
class FeatureEncoder:
    """The problem's features with their category tables.

    The same numbers come from `encode_rows` for frames and from `row` for one record. Expressions are built once:
    that takes about as long as computing them for a thousand rows.
    """

    kinds: tuple[Feature, ...]
    tables: CategoryTables

    @property
    def names(self) -> list[str]:
        """The names of the matrix's columns."""
        return [kind.name for kind in self.kinds]

    @property
    def categorical(self) -> list[int]:
        """Positions of the category columns in the matrix."""
        return [i for i, kind in enumerate(self.kinds) if kind.categorical]

    @property
    def numeric(self) -> list[int]:
        """Positions of the other columns in the matrix."""
        return [i for i, kind in enumerate(self.kinds) if not kind.categorical]

    def derive(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Compute the features of each row, as `derive_features` does.

        Args:
            rows: Rows with the columns that they read.

        Returns:
            A column for each feature, under its name: Float64, or String for a category; null is missing.

        Raises:
            UncomputableFeature: An expression fails for a row.
        """
        return _select_features(self.kinds, self._derivations, rows)

    def encode_rows(self, rows: pl.DataFrame) -> np.ndarray:
        """Derive the features of n rows, and encode them.

        Args:
            rows: Rows with the columns that the features read.

        Returns:
            Float64 [n, k], as `encode_frame` gives it.

        Raises:
            UncomputableFeature: An expression fails for a row.
        """
        return self.encode_frame(self.derive(rows))

    def encode_frame(self, features: pl.DataFrame) -> np.ndarray:
        """Encode derived features as a matrix.

        Args:
            features: The columns that `derive` gives, of n rows.

        Returns:
            Float64 [n, k]: NaN for a missing number; categories as codes, -1 for missing or unseen.
        """
        return features.select(self._encodings).to_numpy(order="c")

    @cached_property
    def _derivations(self) -> Sequence[pl.Expr]:
        return list_feature_expressions(self.kinds)

    @cached_property
    def _encodings(self) -> Sequence[pl.Expr]:
        return [self._encode(kind) for kind in self.kinds]

    def _encode(self, kind: Feature) -> pl.Expr:
        if not kind.categorical:
            return select_column(kind.name).fill_null(float("nan"))
        table = self.tables[kind.name]
        codes = select_column(kind.name).replace_strict(
            list(table), list(table.values()), default=UNSEEN_CODE, return_dtype=pl.Float64
        )
        return codes.alias(kind.name)

    def row(self) -> Callable[[Record], list[Any]]:
        """Build the encoder of single records. It picks plain numbers all at once, which takes a fifth of the time.

        Returns:
            A function from a record (Python values as the contract's model gives them) to a row of the matrix, in
            which None may stand for NaN.
        """
        scalars = [self._scalar(kind) for kind in self.kinds]
        plain = {i: kind.column for i, kind in enumerate(self.kinds) if isinstance(kind, Number)}
        if len(plain) < 2:
            return lambda record: [scalar(record) for scalar in scalars]
        any_column = next(iter(plain.values()))
        pick = itemgetter(*(plain.get(i, any_column) for i in range(len(scalars))))
        derived = [(i, scalar) for i, scalar in enumerate(scalars) if i not in plain]

        def row(record: Record) -> list[Any]:
            values = list(pick(record))
            for i, scalar in derived:
                values[i] = scalar(record)
            return values

        return row

    def _scalar(self, kind: Feature) -> Callable[[Record], Any]:
        scalar = kind.scalar()
        if not kind.categorical:
            return scalar
        codes: dict[Any, float] = {value: float(code) for value, code in self.tables[kind.name].items()}
        return lambda record: codes.get(scalar(record), UNSEEN_CODE)


def fill_empty_columns(rows: np.ndarray) -> np.ndarray:
    """Make constants of the columns that have no value in any of the rows that a model is about to learn from.

    scikit-learn's histogram boosting finds no bins for such a column and raises. A constant has one bin: no tree splits
    by it, so the model's predictions don't depend on what other rows have there.

    Args:
        rows: Float64 [n, columns]; NaN for a missing value.

    Returns:
        The rows, with 0 in those columns.
    """
    is_empty = np.isnan(rows).all(axis=0)
    return np.where(is_empty, 0.0, rows) if is_empty.any() else rows
