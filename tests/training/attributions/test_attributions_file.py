"""Attributions of fitted estimators add up to scikit-learn's own scores, and are what an enumeration gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penumbra.core.attributions.additive_model import Explainer, NotExplainable, read_models
from penumbra.core.attributions.leaf_paths import list_leaf_paths
from penumbra.core.attributions.tree_shapley import TreeShapley
from penumbra.patterns import Cascade, HardNegatives
from penumbra.patterns.class_padding import PaddedClasses
from penumbra.registry.bundles.bundle import open_transform
from penumbra.training.attributions import additive_forms
from penumbra.training.attributions.attributions_file import build_attributions_file, check_forms
from penumbra.training.attributions.enumeration import enumerate_shapley_values, split_trees
from penumbra.training.attributions.traced_columns import TracedColumns
from tests.training.onnx.test_compile import CASES, binary, rows, signal, three

pytestmark = [
    pytest.mark.filterwarnings("ignore:Found unknown categories"),
    pytest.mark.filterwarnings("ignore:Skipping features without any observed values"),
]
EXACT = 1e-9


def predict(model: Any, inputs: np.ndarray) -> np.ndarray:
    if not hasattr(model, "predict_proba"):
        return model.predict(inputs)
    probabilities = model.predict_proba(inputs)
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def explain(model: Any, inputs: np.ndarray) -> Any:
    return explain_rows(model, rows(300), rows(100, 5), inputs)


def explain_rows(model: Any, background: np.ndarray, probe: np.ndarray, inputs: np.ndarray) -> Any:
    content = build_attributions_file(model, background, probe, lambda some: predict(model, some), open_transform)
    return Explainer(read_models(content), open_transform).explain(inputs, predict(model, inputs))


def to_prediction(scale: str, scores: np.ndarray) -> np.ndarray:
    return {"log-odds": lambda: 1 / (1 + np.exp(-scores)), "log of the value": lambda: np.exp(scores)}.get(
        scale, lambda: scores
    )()


@pytest.mark.parametrize(
    "case", [case for case in CASES if "multinomial" not in case and case != "boosting of three classes"]
)
def test_attributions_add_up_to_the_prediction(case: str) -> None:
    estimator, target = CASES[case]
    model, inputs = clone(estimator).fit(rows(), target(rows())), rows(60, 9, unseen=3)
    found, outputs = explain(model, inputs), predict(model, inputs)
    top = outputs[np.arange(60), found.classes] if outputs.ndim == 2 else outputs
    predicted = [to_prediction(scale, score) for scale, score in zip(found.scales, found.scores, strict=True)]
    assert predicted == pytest.approx(top, abs=EXACT)


@pytest.mark.parametrize("case", ["boosting of three classes", "multinomial regression"])
def test_of_several_classes_the_margin_of_the_most_probable_one_is_explained(case: str) -> None:
    model, inputs = clone(CASES[case][0]).fit(rows(), three(rows())), rows(60, 9)
    found = explain(model, inputs)
    margins = model.decision_function(inputs)
    assert found.classes.tolist() == margins.argmax(axis=1).tolist()
    assert found.scores == pytest.approx(margins.max(axis=1), abs=EXACT)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), leaves=st.integers(2, 20), boosted=st.booleans())
def test_each_tree_has_the_shapley_values_of_an_enumeration(seed: int, leaves: int, boosted: bool) -> None:
    inputs = rows(400, seed)
    if boosted:
        model: Any = HistGradientBoostingClassifier(
            max_iter=2, max_leaf_nodes=leaves, min_samples_leaf=2, categorical_features=[0, 1, 4], random_state=seed
        )
    else:
        model = RandomForestClassifier(2, max_leaf_nodes=leaves, random_state=seed)
    model.fit(inputs, binary(inputs))
    (form,) = additive_forms.build_forms(model, TracedColumns(6, (), np.arange(6), inputs, 400))
    few = rows(3, seed + 1, unseen=2).astype(np.float32).astype(float)
    for tree in split_trees(form.model.nodes):
        shapley = TreeShapley(list_leaf_paths(tree, np.arange(6), 0), 6).compute(few)
        enumerated = [enumerate_shapley_values(tree, np.arange(6), 6, row) for row in few]
        assert shapley == pytest.approx(np.array(enumerated), abs=EXACT)


def test_a_value_that_single_precision_rounds_over_a_threshold_goes_with_it() -> None:
    inputs = np.array([[0.0], [1.0], [2.0]])
    model = DecisionTreeRegressor().fit(inputs, [0.0, 0.0, 9.0])
    just_above = np.array([[1.5 + 1e-12]])  # rounded to 1.5, which is not above
    found = explain_rows(model, inputs, just_above, just_above)
    assert found.scores.tolist() == pytest.approx([0.0])


@pytest.mark.slow
def test_the_attributions_of_a_cascade_are_those_of_the_model_that_answers() -> None:
    model, inputs = clone(CASES["cascade of pipeline and forest"][0]).fit(rows(), binary(rows())), rows()
    model.report_ |= {"low": 0.2, "high": 0.8}
    found = explain(model, inputs)
    assert 0 < model.mask_cheap_rows(inputs).sum() < len(inputs)
    assert [scale == "log-odds" for scale in found.scales] == model.mask_cheap_rows(inputs).tolist()


@pytest.mark.parametrize("options", [{}, {"loss": "exponential"}, {"init": "zero", "subsample": 0.5}], ids=str)
def test_boosting_that_is_not_compiled_is_explained_too(options: dict[str, Any]) -> None:
    inputs = np.nan_to_num(rows())
    model = GradientBoostingClassifier(n_estimators=10, **options).fit(inputs, binary(rows()))
    found = explain_rows(model, inputs, inputs, inputs[:50])
    assert 1 / (1 + np.exp(-found.scores)) == pytest.approx(predict(model, inputs[:50]), abs=EXACT)
    regressor = GradientBoostingRegressor(n_estimators=10).fit(inputs, signal(rows()))
    found = explain_rows(regressor, inputs, inputs, inputs[:50])
    assert found.scores == pytest.approx(regressor.predict(inputs[:50]), abs=EXACT)


def test_one_hot_columns_are_one_feature() -> None:
    model = clone(CASES["logistic regression"][0]).fit(rows(), binary(rows()))
    assert explain(model, rows(5)).values.shape == (5, 6)


def test_a_class_that_training_lacked_has_no_part() -> None:
    inputs, codes = rows(), np.array([0, 1, 3])[three(rows())]
    model = PaddedClasses(HistGradientBoostingClassifier(max_iter=3).fit(inputs, codes), 4)
    found = explain(model, inputs[:50])
    assert set(found.classes) <= {0, 1, 3}
    assert found.scores == pytest.approx(model.estimator.decision_function(inputs[:50]).max(axis=1), abs=EXACT)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (GradientBoostingClassifier(init=GaussianNB(), n_estimators=2), "begins with the scores of another model"),
        (GaussianNB(), "GaussianNB has no exact attributions here"),
        (make_pipeline(PCA(2), LogisticRegression()), "PCA isn't known to make each column of one input"),
        (HardNegatives(RandomForestClassifier(2)), "HardNegatives has exact attributions where the model within"),
        (Cascade(GaussianNB(), RandomForestClassifier(2)), "GaussianNB has no exact attributions here"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_model_that_is_no_sum_is_refused_by_name(model: Any, reason: str) -> None:
    inputs = np.nan_to_num(rows())
    model.fit(inputs, binary(rows()) == "late")
    content = build_attributions_file(model, inputs, inputs[:0], lambda some: predict(model, some), open_transform)
    with pytest.raises(NotExplainable, match=reason):
        read_models(content)


def test_a_model_of_too_many_leaves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive_forms, "MAX_LEAVES", 100)
    model = RandomForestRegressor(5).fit(rows(), signal(rows()))
    with pytest.raises(NotExplainable, match="leaves: attributions are for models of at most 100"):
        explain(model, rows(1))


def test_attributions_that_are_not_exact_are_refused() -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(rows(), binary(rows()))
    (form,) = additive_forms.build_forms(model, TracedColumns(6, (), np.arange(6), rows(), 600))
    form.model.constants[0] += 1e-4
    with pytest.raises(NotExplainable, match=r"not exact: their sum differs by 0\.0001"):
        check_forms([form])


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier(max_iter=3), RandomForestClassifier(3)])
def test_of_an_enum_of_two_classes_the_second_is_explained(estimator: Any) -> None:
    codes = (binary(rows()) == "late").astype(int)
    model = estimator.fit(np.nan_to_num(rows()), codes)
    inputs = np.nan_to_num(rows(40, 5))
    content = build_attributions_file(model, inputs, inputs, model.predict_proba, open_transform)
    outputs = model.predict_proba(inputs)
    found = Explainer(read_models(content), open_transform).explain(inputs, outputs)
    assert set(found.classes.tolist()) == {1}
    assert to_prediction(found.scales[0], found.scores) == pytest.approx(outputs[:, 1], abs=EXACT)


@pytest.mark.slow
def test_a_tree_deeper_than_the_stack_of_python_is_enumerated() -> None:
    steps = np.arange(2400.0)[:, None]
    model = DecisionTreeClassifier(random_state=0).fit(steps, np.arange(2400) % 2 == 0)
    assert model.get_depth() > 1000
    (form,) = additive_forms.build_forms(model, TracedColumns(1, (), np.zeros(1, int), steps, 1))
    (tree,) = split_trees(form.model.nodes)
    assert enumerate_shapley_values(tree, np.zeros(1, int), 1, steps[7]) == pytest.approx([-0.5])


@pytest.mark.slow
def test_a_forest_whose_values_span_many_orders_of_magnitude_is_explained() -> None:
    inputs = np.random.default_rng(0).normal(size=(2400, 3))
    model = RandomForestRegressor(20, random_state=0).fit(inputs, np.exp(8 * inputs[:, 0]))
    assert explain_rows(model, inputs, inputs, inputs[:50]).scores == pytest.approx(
        model.predict(inputs[:50]), rel=1e-6, abs=1e-2
    )


def test_a_model_whose_explanation_fails_is_no_less_a_model_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """One class of three is known: boosting has scores of a binary task then, and no probability of it."""
    model = PaddedClasses(HistGradientBoostingClassifier(max_iter=3).fit(rows(), np.ones(600, int)), 3)
    inputs = rows(30)
    content = build_attributions_file(model, inputs, inputs, lambda some: np.zeros((len(some), 0)), open_transform)
    with pytest.raises(NotExplainable, match=r"its attributions can't be computed \(\w+Error: "):
        read_models(content)
    assert "can't be explained" in caplog.text


@pytest.mark.slow
def test_a_value_without_a_lower_bound_reaches_a_leaf() -> None:
    """Trees compare in single precision, which -1e39 exceeds."""
    inputs = np.nan_to_num(rows())
    forest = RandomForestClassifier(5, random_state=0).fit(inputs, binary(rows()))
    extreme = np.array([[-1e39] * 6, [1e39] * 6, [-1e300] * 6])
    found = Explainer(
        read_models(
            build_attributions_file(forest, inputs, inputs, lambda some: predict(forest, some), open_transform)
        ),
        open_transform,
    ).explain(extreme, np.zeros(3))
    lowest = np.finfo(np.float32).min
    assert found.scores == pytest.approx(predict(forest, np.clip(extreme, lowest, -lowest)), abs=EXACT)
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(inputs, binary(rows()))
    infinite = np.array([[-np.inf] * 6, [np.inf] * 6])
    found = explain_rows(boosted, inputs, inputs, infinite)
    assert found.scores == pytest.approx(boosted.decision_function(np.clip(infinite, -1e300, 1e300)), abs=EXACT)


def test_an_infinite_value_leaves_the_terms_of_other_features_as_they_are() -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 2))
    model = LogisticRegression().fit(inputs, inputs[:, 0] > 0)
    content = build_attributions_file(model, inputs, inputs, lambda some: predict(model, some), open_transform)
    explainer = Explainer(read_models(content), open_transform)
    finite, infinite = (explainer.explain(np.array([[0.5, each]]), np.zeros(1)) for each in (1.0, np.inf))
    assert infinite.values[0, 0] == finite.values[0, 0]
    assert np.isinf(infinite.values[0, 1])


def test_the_file_of_the_same_model_has_the_same_bytes() -> None:
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(rows(), binary(rows()))
    first, second = (
        build_attributions_file(model, rows(), rows(9), lambda some: predict(model, some), open_transform)
        for _ in range(2)
    )
    assert first == second


def test_a_tree_and_boosting_have_the_values_that_shap_gives() -> None:
    """Those of the package shap, version 0.51.0: TreeExplainer with feature_perturbation="tree_path_dependent"."""
    corners = np.array([[0, 0, 0], [0, 1, 5], [1, 0, 2], [1, 1, 7], [2, 0, 1], [2, 1, 9], [3, 0, 4], [3, 1, 3]], float)
    tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(corners, [0, 3, 1, 8, 2, 13, 5, 6])
    found = explain_rows(tree, corners, corners, corners[[0, 5]])
    assert found.expected == pytest.approx(4.75)
    assert found.values == pytest.approx(np.array([[-71 / 48, -7 / 16, -11 / 6], [53 / 48, 23 / 48, 20 / 3]]))
    gaps = np.stack([np.tile([0.0, 1, 2, np.nan], 6), np.repeat([3.0, 1, 2], 8), np.arange(24) % 5.0], axis=1)
    labels = np.nan_to_num(gaps, nan=3.0).sum(axis=1) > 4
    boosted = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3, learning_rate=0.5).fit(gaps, labels)
    found = explain_rows(boosted, gaps, gaps, gaps[[0, 11]])
    assert found.expected == pytest.approx(0.90320188)
    by_shap = [[-1.06544842, 0.72325738, -3.10601335], [1.1703741, -0.45243048, -0.06262831]]
    assert found.values == pytest.approx(np.array(by_shap))
