"""The file of a bundle by which answers are explained, and the check that what it explains is exact."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penumbra.core.attributions.additive_model import (
    AdditiveModel,
    Explainer,
    NotExplainable,
    Scale,
    Transform,
    write_models,
    write_refusal,
)
from penumbra.core.attributions.leaf_paths import list_leaf_paths
from penumbra.core.attributions.tree_shapley import TreeShapley
from penumbra.training.attributions.additive_forms import AdditiveForm, build_forms
from penumbra.training.attributions.enumeration import enumerate_shapley_values, list_players, split_trees
from penumbra.training.attributions.traced_columns import TracedColumns
from penumbra.training.onnx.graph import CannotCompile
from penumbra.training.split import pick_evenly_spaced

TOLERANCE = 1e-6  # between the sum of attributions and the model's own score, and of each with the enumerated one
ROUNDING = 1e-10  # of the size of all terms, that their sum may be off where it is much smaller than they are
MIN_CHECKED_ROWS, MAX_CHECKED_ROWS, CHECKED_LEAVES = 3, 200, 500_000  # rows, and rows times leaves of all trees
ENUMERATED_ROWS = 3
ENUMERATED_TREES, MAX_ENUMERATED_PLAYERS = 5, 10

logger = logging.getLogger(__name__)


def build_attributions_file(
    estimator: Any,
    background: np.ndarray,
    probe: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    open_transform: Callable[[bytes], Transform],
) -> bytes:
    """Build the file by which a model's answers are explained, and check it.

    Args:
        estimator: Fitted classifier or regressor.
        background: Some rows of its inputs, float64 [m, inputs]; linear terms are explained against their means.
        probe: More rows to check it on, float64 [n, inputs].
        predict: Predicts with it, float64 [rows] or [rows, classes].
        open_transform: Opens the ONNX model of a transformation.

    Returns:
        The file's bytes; of a model that can't be explained it says why.
    """
    rows = np.concatenate([background, probe])
    columns = TracedColumns(rows.shape[1], (), np.arange(rows.shape[1]), rows, len(background))
    try:
        forms = build_forms(estimator, columns)
        check_forms(forms)
        checked = _select_checked_rows(rows, sum(form.model.n_leaves for form in forms))
        check_explained_outputs([form.model for form in forms], checked, predict(checked), open_transform)
    except (NotExplainable, CannotCompile) as error:
        return write_refusal(str(error))
    except Exception as error:  # a model is served whatever befalls its explanations
        logger.exception("the model of this training can't be explained")
        return write_refusal(f"its attributions can't be computed ({type(error).__name__}: {error})")
    return write_models([form.model for form in forms])


def _select_checked_rows(rows: np.ndarray, leaves: int) -> np.ndarray:
    """Select rows to check on, evenly spaced: fewer of a model with many leaves."""
    count = min(max(CHECKED_LEAVES // max(leaves, 1), MIN_CHECKED_ROWS), MAX_CHECKED_ROWS)
    return rows[pick_evenly_spaced(len(rows), count)]


def check_forms(forms: Sequence[AdditiveForm]) -> None:
    """Check attributions against scikit-learn's own scores, and some trees against an enumeration of all coalitions.

    Args:
        forms: The additive models of an estimator.

    Raises:
        NotExplainable: They differ by more than TOLERANCE, and more than rounding makes of such terms.
    """
    for form in forms:
        rows = _select_checked_rows(form.rows, form.model.n_leaves)
        scores = form.compute_scores(rows)
        compared = rows.astype(np.float32).astype(float) if form.single_precision else rows
        for target in range(scores.shape[1]):
            values = form.model.compute(compared, np.full(len(rows), target))
            expected = form.model.expected[target]
            sizes = abs(expected) + np.abs(values).sum(axis=1)
            _require_equal("their sum differs", expected + values.sum(axis=1), scores[:, target], sizes)
        _check_some_trees(form.model, compared[:ENUMERATED_ROWS])


def _check_some_trees(model: AdditiveModel, rows: np.ndarray) -> None:
    """Check trees that are spread over the ensemble, of those with few enough inputs for all coalitions of them."""
    trees = [
        tree for tree in split_trees(model.nodes) if len(list_players(tree, model.sources)) <= MAX_ENUMERATED_PLAYERS
    ]
    for tree in trees[:: max(1, len(trees) // ENUMERATED_TREES)]:
        target = int(tree.target[tree.leaf][0])
        shapley = TreeShapley(list_leaf_paths(tree, model.sources, target), model.n_inputs)
        enumerated = np.array([enumerate_shapley_values(tree, model.sources, model.n_inputs, row) for row in rows])
        sizes = np.abs(enumerated).sum(axis=1, keepdims=True)
        _require_equal("those of a tree differ", shapley.compute(rows), enumerated, sizes)


def check_explained_outputs(
    models: Sequence[AdditiveModel], rows: np.ndarray, outputs: np.ndarray, open_transform: Callable[[bytes], Transform]
) -> None:
    """Check that explained scores are those that the predictions are made of.

    Args:
        models: The additive models of an estimator.
        rows: Rows of its inputs, float64 [n, inputs].
        outputs: Its predictions for them, float64 [n] or [n, classes].
        open_transform: Opens the ONNX model of a transformation.

    Raises:
        NotExplainable: They differ by more than TOLERANCE.
    """
    explained = Explainer(models, open_transform).explain(rows, outputs)
    several = outputs.ndim == 2
    top = outputs[np.arange(len(rows)), explained.classes] if several else outputs
    for scale in set(explained.scales) - {"margin"}:  # a margin alone makes no probability: its score was compared
        of_scale = np.array([each == scale for each in explained.scales])
        sizes = np.abs(explained.expected[of_scale]) + np.abs(explained.values[of_scale]).sum(axis=1)
        _require_equal("their sum differs", _link(scale, explained.scores[of_scale]), top[of_scale], sizes)


def _link(scale: Scale, scores: np.ndarray) -> np.ndarray:
    """Turn scores into predictions."""
    if scale == "log-odds":
        return np.asarray(1 / (1 + np.exp(-scores)))
    return np.exp(scores) if scale == "log of the value" else scores


def _require_equal(what_differs: str, computed: np.ndarray, expected: np.ndarray, sizes: np.ndarray) -> None:
    """Require sums to be equal whose terms add up to `sizes` in absolute value."""
    if not np.allclose(computed, expected, rtol=TOLERANCE, atol=TOLERANCE + ROUNDING * sizes, equal_nan=True):
        difference = float(np.nanmax(np.abs(computed - expected)))
        raise NotExplainable(f"its attributions are not exact: {what_differs} by {difference:.3g}")
