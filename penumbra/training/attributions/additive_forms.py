"""Additive models of fitted scikit-learn estimators: what their scores are sums of, with their own scores beside.

To explain one more type, write a function from the fitted estimator and its columns to forms, and put it into FORMS.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn import dummy, ensemble, linear_model, pipeline

from penumbra.core.attributions.additive_model import AdditiveModel, NotExplainable, Scale
from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from penumbra.patterns.class_padding import PaddedClasses
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.patterns.reframing import Reframed
from penumbra.training.attributions.fitted_trees import (
    GrownTree,
    join_trees,
    list_boosted_trees,
    list_decision_trees,
)
from penumbra.training.attributions.traced_columns import TracedColumns
from penumbra.training.onnx.linear_converters import LINEAR_REGRESSORS
from penumbra.training.onnx.tree_converters import FOREST_CLASSIFIERS, FOREST_REGRESSORS, read_boosted_columns

MAX_LEAVES = 200_000  # of a model: attributions of a record take about a tenth of a second then


class AdditiveForm(NamedTuple):
    """An additive model, and the estimator's own scores.

    Attributes:
        model: The model.
        compute_scores: Computes the scores of columns float64 [n, columns] by scikit-learn: float64 [n, targets].
        rows: The columns of some rows, float64 [n, columns].
        single_precision: Whether the trees compare columns that are rounded so.
    """

    model: AdditiveModel
    compute_scores: Callable[[np.ndarray], np.ndarray]
    rows: np.ndarray
    single_precision: bool = False


FormBuilder = Callable[[Any, TracedColumns], list[AdditiveForm]]


def build_forms(estimator: Any, columns: TracedColumns) -> list[AdditiveForm]:
    """Build the additive models of a fitted estimator.

    Args:
        estimator: Fitted classifier or regressor.
        columns: What it was fitted on.

    Returns:
        One form, or several of which the first that is sure answers.

    Raises:
        NotExplainable: Its scores are no sum of trees and linear terms, or its type is unknown here.
    """
    if type(estimator) not in FORMS:
        known = ", ".join(sorted(each.__name__ for each in FORMS))
        raise NotExplainable(f"{type(estimator).__name__} has no exact attributions here; those that have: {known}")
    return FORMS[type(estimator)](estimator, columns)


def _form_pipeline(estimator: Any, columns: TracedColumns) -> list[AdditiveForm]:
    *steps, (_, last) = estimator.steps
    for _, step in steps:
        columns = columns if step in (None, "passthrough") else columns.then(step)
    return build_forms(last, columns)


def _form_boosting(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    order, categories = read_boosted_columns(model)
    known = [np.asarray(codes, float)[~np.isnan(np.asarray(codes, float))] for codes in categories]
    trees, start = list_boosted_trees(model, order, known), model._baseline_prediction.ravel()
    if isinstance(model, ensemble.HistGradientBoostingRegressor):
        scale: Scale = "log of the value" if model.loss in ("poisson", "gamma") else "value"
    else:
        scale = "log-odds" if len(start) == 1 else "margin"
    return [_form_trees(scale, columns, trees, start, model._raw_predict)]


def _form_plain_boosting(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    """The form of boosting with exact splits; with the exponential loss twice the score is the log-odds."""
    start = model._raw_predict_init(columns.rows.astype(np.float32))
    if np.ptp(start, axis=0).any():
        raise NotExplainable(f"{type(model).__name__} begins with the scores of another model (init)")
    is_number = isinstance(model, ensemble.GradientBoostingRegressor)
    factor = 2 if model.loss == "exponential" else 1
    numbered = [(tree, 0, target) for row in model.estimators_ for target, tree in enumerate(row)]
    trees, compute = list_decision_trees(numbered, factor * model.learning_rate), model.predict
    scale: Scale = "value"
    if not is_number:
        scale, compute = "log-odds" if start.shape[1] == 1 else "margin", model.decision_function
    return [
        _form_trees(
            scale,
            columns,
            trees,
            factor * start[0],
            lambda rows: factor * compute(rows).reshape(len(rows), -1),
            single_precision=True,
        )
    ]


def _form_forest_classifier(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    outputs = [1] if model.n_classes_ == 2 else range(model.n_classes_)
    return [_form_forest(model, columns, "probability", outputs, lambda rows: model.predict_proba(rows)[:, outputs])]


def _form_forest_regressor(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [_form_forest(model, columns, "value", [0], lambda rows: model.predict(rows)[:, None])]


def _form_forest(
    model: Any, columns: TracedColumns, scale: Scale, outputs: Sequence[int], compute_scores: Any
) -> AdditiveForm:
    if getattr(model, "n_outputs_", 1) != 1:
        raise NotExplainable(f"{type(model).__name__} has several outputs")
    members = getattr(model, "estimators_", [model])
    numbered = [(member, output, target) for member in members for target, output in enumerate(outputs)]
    trees = list_decision_trees(numbered, 1 / len(members))
    return _form_trees(scale, columns, trees, np.zeros(len(outputs)), compute_scores, single_precision=True)


def _form_trees(
    scale: Scale,
    columns: TracedColumns,
    trees: Sequence[GrownTree],
    start: np.ndarray,
    compute_scores: Callable[[np.ndarray], np.ndarray],
    single_precision: bool = False,
) -> AdditiveForm:
    leaves = sum(int(nodes["leaf"].sum()) for nodes, _ in trees)
    if leaves > MAX_LEAVES:
        raise NotExplainable(f"its trees have {leaves:,} leaves: attributions are for models of at most {MAX_LEAVES:,}")
    nodes, constants = join_trees(trees, len(start))
    model = AdditiveModel(
        scale,
        columns.n_inputs,
        columns.sources,
        columns.compile(single_precision),
        start + constants,
        np.zeros((len(columns.sources), len(start))),
        np.zeros(len(columns.sources)),
        nodes,
    )
    return AdditiveForm(model, compute_scores, columns.rows, single_precision)


def _form_logistic(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    scale: Scale = "log-odds" if len(model.coef_) == 1 else "margin"
    return [_form_linear(model, columns, scale, lambda rows: model.decision_function(rows).reshape(len(rows), -1))]


def _form_linear_regressor(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [_form_linear(model, columns, "value", lambda rows: model.predict(rows).reshape(len(rows), -1))]


def _form_linear(model: Any, columns: TracedColumns, scale: Scale, compute_scores: Any) -> AdditiveForm:
    """The terms of a linear model, against the means of usual rows."""
    weights = np.atleast_2d(model.coef_).T.astype(float)
    form = _form_trees(scale, columns, (), np.atleast_1d(model.intercept_).astype(float), compute_scores)
    return form._replace(model=replace(form.model, weights=weights, means=columns.means))


def _form_dummy_classifier(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    if model.strategy == "stratified":
        raise NotExplainable("DummyClassifier answers at random")
    (constants,) = model.predict_proba(columns.rows[:1])
    constants = constants[1:] if len(constants) == 2 else constants
    return [_form_trees("probability", columns, (), constants, lambda rows: np.tile(constants, (len(rows), 1)))]


def _form_dummy_regressor(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [
        _form_trees("value", columns, (), model.predict(columns.rows[:1]), lambda rows: model.predict(rows)[:, None])
    ]


def _form_reframed(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [_calibrate(model, form, "value") for form in build_forms(model.regressor_, columns)]


def _form_hard_negatives(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [_calibrate(model, form, "log-odds") for form in build_forms(model.estimator_, columns)]


def _calibrate(calibrated: Any, form: AdditiveForm, scale: Scale) -> AdditiveForm:
    """Turn scores of this scale into log-odds by the slope and intercept of a calibrated model."""
    model, name = form.model, type(calibrated).__name__
    if model.scale != scale or model.unsure:
        raise NotExplainable(f"{name} has exact attributions where the model within adds up to one {scale}")
    slope, intercept = calibrated.slope_, calibrated.intercept_
    nodes = replace(model.nodes, value=model.nodes.value * slope)
    scaled = replace(
        model,
        scale="log-odds",
        constants=model.constants * slope + intercept,
        weights=model.weights * slope,
        nodes=nodes,
    )
    return form._replace(model=scaled, compute_scores=lambda rows: form.compute_scores(rows) * slope + intercept)


def _form_padded_classes(padded: Any, columns: TracedColumns) -> list[AdditiveForm]:
    return [_pad_targets(padded.selection, form) for form in build_forms(padded.estimator, columns)]


def _pad_targets(selection: np.ndarray, form: AdditiveForm) -> AdditiveForm:
    """Give a form a target for each class; `selection` is float64 [known, classes]."""
    model = form.model
    if len(model.constants) != len(selection):
        raise NotExplainable(f"a model of {len(selection)} of {selection.shape[1]} classes has one score for both")
    nodes = replace(model.nodes, target=selection.argmax(axis=1)[model.nodes.target])
    padded = replace(model, constants=model.constants @ selection, weights=model.weights @ selection, nodes=nodes)
    return form._replace(model=padded, compute_scores=lambda rows: form.compute_scores(rows) @ selection)


def _form_cascade(model: Any, columns: TracedColumns) -> list[AdditiveForm]:
    cheap, *others = build_forms(model.cheap_, columns)
    if others or cheap.model.scale not in ("log-odds", "probability"):
        raise NotExplainable("a Cascade has exact attributions where its cheap model is one sum")
    unsure = model.report_["low"], model.report_["high"]
    first = cheap._replace(model=replace(cheap.model, unsure=unsure))
    return [first, *build_forms(model.expensive_, columns)]


FORMS: dict[type, FormBuilder] = {
    pipeline.Pipeline: _form_pipeline,
    ensemble.HistGradientBoostingClassifier: _form_boosting,
    ensemble.HistGradientBoostingRegressor: _form_boosting,
    ensemble.GradientBoostingClassifier: _form_plain_boosting,
    ensemble.GradientBoostingRegressor: _form_plain_boosting,
    **dict.fromkeys(FOREST_CLASSIFIERS, _form_forest_classifier),
    **dict.fromkeys(FOREST_REGRESSORS, _form_forest_regressor),
    linear_model.LogisticRegression: _form_logistic,
    **dict.fromkeys(LINEAR_REGRESSORS, _form_linear_regressor),
    dummy.DummyClassifier: _form_dummy_classifier,
    dummy.DummyRegressor: _form_dummy_regressor,
    Augmented: lambda model, columns: build_forms(model.estimator_, columns),
    Cascade: _form_cascade,
    HardNegatives: _form_hard_negatives,
    Reframed: _form_reframed,
    PaddedClasses: _form_padded_classes,
}
