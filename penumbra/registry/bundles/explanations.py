"""Why a bundle's model answers as it does: exact attributions of its scores to its features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.attributions.additive_model import Attributions, NotExplainable
from penumbra.core.encoding import FeatureEncoder
from penumbra.core.problem import Problem
from penumbra.registry.bundles.bundle import Bundle, read_bundle
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, verify_bundle
from penumbra.registry.pointers import BUNDLES_FOLDER

EXPECTED_COLUMN, SCORE_COLUMN, CLASS_COLUMN = "penumbra.expected", "penumbra.score", "penumbra.class"
ScoreExplanation = dict[str, Any]


def attribute_scores(bundle: Bundle, matrix: np.ndarray) -> Attributions:
    """Attribute the scores of encoded rows to the features; of several classes that of the most probable one.

    Args:
        bundle: The bundle.
        matrix: float64 [n, k], a column for each input.

    Returns:
        The attributions.

    Raises:
        NotExplainable: The model's scores are no sums of trees and linear terms, or the bundle was made before there
            were attributions.
    """
    explainer = bundle.explainer
    outputs = bundle.predictions(matrix) if bundle.task.kind == "multiclass" else np.zeros(len(matrix))
    return explainer.explain(matrix, outputs)


def compute_attributions(bundle: Bundle, rows: pl.DataFrame) -> pl.DataFrame:
    """Attribute the scores of rows that keep the contract to the features.

    Args:
        bundle: The bundle.
        rows: A frame with the contract's columns that the features need; n rows.

    Returns:
        n rows: a column for each feature (Float64), `penumbra.expected` and `penumbra.score` (Float64), the sum of the
        others; and of several classes `penumbra.class` (String), that of the score.

    Raises:
        NotExplainable: As of `attribute_scores`.
    """
    found = attribute_scores(bundle, bundle.inputs.encode_rows(rows))
    classes = bundle.task.classes
    return pl.DataFrame(found.values, schema=bundle.inputs.names, orient="row").with_columns(
        pl.Series(EXPECTED_COLUMN, found.expected),
        pl.Series(SCORE_COLUMN, found.scores),
        *([pl.Series(CLASS_COLUMN, [classes[code] for code in found.classes], pl.String)] if classes else ()),
    )


def describe_explanations(bundle: Bundle, matrix: np.ndarray) -> list[ScoreExplanation]:
    """Describe why encoded rows got their scores, in types of JSON.

    Args:
        bundle: The bundle.
        matrix: float64 [n, k], a column for each input.

    Returns:
        For each row `scale`, `explained_class` (of several ones), `expected`, `score`, and `attributions`: a list with
        `feature`, `value` (as the model has it, None where it is missing or was never seen) and `attribution`, the
        largest first.

    Raises:
        NotExplainable: As of `attribute_scores`.
    """
    found = attribute_scores(bundle, matrix)
    columns = _list_values(bundle.inputs, matrix)
    names, classes = bundle.inputs.names, bundle.task.classes
    order = np.argsort(-np.abs(found.values), axis=1, kind="stable").tolist()
    figures = zip(found.scales, found.classes, found.expected.tolist(), found.scores.tolist(), strict=True)
    return [
        {
            "scale": scale,
            **({"explained_class": classes[code]} if classes else {}),
            "expected": expected,
            "score": score,
            "attributions": [
                {"feature": names[n], "value": columns[n][row], "attribution": terms[n]} for n in order[row]
            ],
        }
        for row, ((scale, code, expected, score), terms) in enumerate(zip(figures, found.values.tolist(), strict=True))
    ]


def explain_logged_answer(state: Path, problem: Problem, prediction: Mapping[str, Any]) -> ScoreExplanation | None:
    """Explain an answer of the log anew, by the version that gave it.

    Args:
        state: The service's state folder, which has the bundles.
        problem: The problem as it is today, with schema and features.
        prediction: The entry of the prediction log.

    Returns:
        What `describe_explanations` says of the inputs that were scored; None where no model was asked; or a "problem":
        why it can't be explained.
    """
    if not prediction["inputs"]:
        return None
    version, folder = prediction["model"], state / BUNDLES_FOLDER / prediction["model"]
    try:
        verify_bundle(folder)
        loaded = read_bundle(folder, problem, version)
        inputs = [np.nan if value is None else value for value in prediction["inputs"]]
        return describe_explanations(loaded, np.array([inputs], float))[0]
    except (UnfitBundle, NotExplainable) as reason:
        return {"problem": str(reason)}
    except BrokenBundle as reason:
        return {"problem": f"{reason}. Remove {folder}: the version is fetched from the registry again"}


def _list_values(inputs: FeatureEncoder, matrix: np.ndarray) -> Sequence[list[Any]]:
    """List the values of each feature that the columns of a matrix stand for."""
    columns: list[list[Any]] = [[None if value != value else value for value in column.tolist()] for column in matrix.T]
    for position in inputs.categorical:
        by_code = {code: value for value, code in inputs.tables[inputs.names[position]].items()}
        columns[position] = [by_code.get(code) for code in columns[position]]
    return columns
