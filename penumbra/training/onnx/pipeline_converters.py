"""Converters of scikit-learn pipelines and the transformers within them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn import compose, impute, pipeline, preprocessing

from penumbra.training.onnx.graph import Converter, Graph, read_category_codes


def _convert_pipeline(graph: Graph, estimator: Any, inputs: str) -> str:
    for _, step in estimator.steps:
        inputs = inputs if step in (None, "passthrough") else graph.convert(step, inputs)
    return inputs


def _convert_column_transformer(graph: Graph, transformer: Any, inputs: str) -> str:
    if transformer.transformer_weights:
        graph.refuse(transformer, "it has transformer_weights")
    positions = transformer._transformer_to_input_indices
    parts = [
        graph.convert(part, _select_columns(graph, inputs, positions[name], transformer.n_features_in_))
        for name, part, _ in transformer.transformers_
        if part != "drop" and len(positions[name])
    ]
    return graph.add("Concat", *parts, axis=1)


def _select_columns(graph: Graph, inputs: str, positions: Sequence[int] | np.ndarray, width: int) -> str:
    if list(positions) == list(range(width)):
        return inputs
    return graph.add("Gather", inputs, np.array(positions, np.int64), axis=1)


def _convert_function_transformer(graph: Graph, transformer: Any, inputs: str) -> str:
    if transformer.func is not None:
        graph.refuse(transformer, "its func is arbitrary Python")
    return inputs


def _convert_one_hot(graph: Graph, encoder: Any, inputs: str) -> str:
    if encoder.handle_unknown == "error":
        graph.refuse(encoder, 'a compiled model can\'t raise on an unseen code: set handle_unknown="ignore"')
    if any(rare is not None for rare in getattr(encoder, "infrequent_categories_", [])):
        graph.refuse(encoder, "it groups infrequent categories")
    codes = read_category_codes(graph, encoder, encoder.categories_)
    dropped = encoder.drop_idx_ if encoder.drop_idx_ is not None else [None] * len(codes)
    kept = [values if skip is None else np.delete(values, skip) for values, skip in zip(codes, dropped, strict=True)]
    repeated = graph.add("Gather", inputs, np.repeat(np.arange(len(kept)), [len(values) for values in kept]), axis=1)
    values = np.concatenate(kept)
    hot = graph.add("Equal", repeated, values)
    if np.isnan(values).any():
        hot = graph.add("Or", hot, graph.add("And", graph.add("IsNaN", repeated), np.isnan(values)))
    return graph.add("Cast", hot, to=TensorProto.DOUBLE)


def _convert_imputer(graph: Graph, imputer: Any, inputs: str) -> str:
    if str(imputer.missing_values) != "nan":
        graph.refuse(imputer, f"missing_values is {imputer.missing_values!r}, not NaN")
    fill = imputer.statistics_.astype(float)
    missing = graph.add("IsNaN", inputs)
    filled = graph.add("Where", missing, fill, inputs)
    filled = _select_columns(graph, filled, np.flatnonzero(~np.isnan(fill)), len(fill))
    if imputer.indicator_ is None:
        return filled
    flags = _select_columns(graph, missing, imputer.indicator_.features_, len(fill))
    return graph.add("Concat", filled, graph.add("Cast", flags, to=TensorProto.DOUBLE), axis=1)


def _convert_scaler(graph: Graph, scaler: Any, inputs: str) -> str:
    centred = graph.add("Sub", inputs, scaler.mean_) if scaler.with_mean else inputs
    return graph.add("Div", centred, scaler.scale_) if scaler.with_std else centred


PIPELINE_CONVERTERS: dict[type, Converter] = {
    pipeline.Pipeline: _convert_pipeline,
    compose.ColumnTransformer: _convert_column_transformer,
    preprocessing.FunctionTransformer: _convert_function_transformer,
    preprocessing.OneHotEncoder: _convert_one_hot,
    preprocessing.StandardScaler: _convert_scaler,
    impute.SimpleImputer: _convert_imputer,
}
