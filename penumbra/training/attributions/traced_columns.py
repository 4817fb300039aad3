"""The columns that the last step of a pipeline is fitted on: which input each is made of, and how."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import compose, impute, pipeline, preprocessing

from penumbra.core.attributions.additive_model import NotExplainable
from penumbra.core.text.counts import format_count
from penumbra.training.onnx.compile import compile_steps


@dataclass(frozen=True)
class TracedColumns:
    """Columns made of a model's inputs.

    Attributes:
        n_inputs: The number of inputs.
        steps: The fitted transformers that make the columns, one after another.
        sources: int [columns], the input that each column is made of.
        rows: float64 [n, columns], the columns of some rows.
        n_background: How many of these, from the first on, are as usual.
    """

    n_inputs: int
    steps: tuple[Any, ...]
    sources: np.ndarray
    rows: np.ndarray
    n_background: int

    @property
    def means(self) -> np.ndarray:
        """The mean of each column in usual rows that have it, float64 [columns]; 0 where none has."""
        usual = self.rows[: self.n_background]
        known = ~np.isnan(usual)
        return np.asarray(np.where(known, usual, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))

    def then(self, step: Any) -> "TracedColumns":
        """Take one more transformer.

        Args:
            step: The fitted transformer.

        Returns:
            The columns that it makes of these.

        Raises:
            NotExplainable: It isn't known which input each of its columns is made of.
        """
        sources, made = trace_sources(step, self.sources), step.transform(self.rows)
        rows = np.asarray(made.toarray() if issparse(made) else made, float)
        if rows.shape[1] != len(sources):
            raise NotExplainable(
                f"{type(step).__name__} makes {format_count(rows.shape[1], 'column')} where {len(sources)} "
                "are expected, so it isn't "
                "known which input each is made of (categories that are joined for being rare do that)"
            )
        return replace(self, steps=(*self.steps, step), sources=sources, rows=rows)

    def compile(self, single_precision: bool = False) -> bytes:
        """Compile the steps.

        Args:
            single_precision: Round the columns to single precision, in which scikit-learn's trees compare.

        Returns:
            An ONNX model from inputs to columns; empty where the columns are the inputs.
        """
        if not (self.steps or single_precision):
            return b""
        return compile_steps(self.steps, self.n_inputs, len(self.sources), single_precision)


def trace_sources(transformer: Any, sources: np.ndarray) -> np.ndarray:
    """Find out of which input each column of a transformer is made.

    Args:
        transformer: Fitted transformer.
        sources: int [columns], the input that each of the columns that it takes is made of.

    Returns:
        int [columns that it makes].

    Raises:
        NotExplainable: Its type is unknown here, or makes columns of several inputs.
    """
    if type(transformer) not in SOURCES:
        known = ", ".join(sorted(each.__name__ for each in SOURCES))
        raise NotExplainable(
            f"{type(transformer).__name__} isn't known to make each column of one input, as do {known}"
        )
    return SOURCES[type(transformer)](transformer, sources)


def _trace_pipeline(estimator: Any, sources: np.ndarray) -> np.ndarray:
    for _, step in estimator.steps:
        sources = sources if step in (None, "passthrough") else trace_sources(step, sources)
    return sources


def _trace_column_transformer(transformer: Any, sources: np.ndarray) -> np.ndarray:
    positions = transformer._transformer_to_input_indices
    parts = [
        trace_sources(part, sources[np.asarray(positions[name], int)])
        for name, part, _ in transformer.transformers_
        if part != "drop" and len(positions[name])
    ]
    return np.concatenate([sources[:0], *parts])


def _trace_one_hot(encoder: Any, sources: np.ndarray) -> np.ndarray:
    dropped = encoder.drop_idx_ if encoder.drop_idx_ is not None else [None] * len(sources)
    counts = [len(codes) - (skip is not None) for codes, skip in zip(encoder.categories_, dropped, strict=True)]
    return np.repeat(sources, counts)


def _trace_imputer(imputer: Any, sources: np.ndarray) -> np.ndarray:
    filled = sources[~np.isnan(imputer.statistics_.astype(float))]
    return filled if imputer.indicator_ is None else np.append(filled, sources[imputer.indicator_.features_])


SOURCES: dict[type, Callable[[Any, np.ndarray], np.ndarray]] = {
    pipeline.Pipeline: _trace_pipeline,
    compose.ColumnTransformer: _trace_column_transformer,
    preprocessing.FunctionTransformer: lambda _, sources: sources,
    preprocessing.OneHotEncoder: _trace_one_hot,
    preprocessing.StandardScaler: lambda _, sources: sources,
    impute.SimpleImputer: _trace_imputer,
}
