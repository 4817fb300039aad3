from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.ensemble import HistGradientBoostingClassifier as BoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor as BoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.patterns.reframing import Reframed
from penumbra.registry.bundles.bundle import open_onnx_session
from penumbra.training.onnx import trees
from penumbra.training.onnx.compile import CONVERTERS, compile_model, measure_parity
from penumbra.training.onnx.graph import CannotCompile, Graph

pytestmark = [
    pytest.mark.filterwarnings("ignore:Found unknown categories"),
    pytest.mark.filterwarnings("ignore:Skipping features without any observed values"),
]
EXACT = 1e-9
CATEGORIES, NUMBERS = [0, 1, 4], [2, 3, 5]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def rows(n: int = 600, seed: int = 0, unseen: int = 0) -> np.ndarray:
    """Categories with 4, 50 and 9 codes, missing as -1, among three numbers; NaN everywhere."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, 6)) * [1, 1, 1, 1000, 1, 0.01]
    inputs[:, CATEGORIES] = rng.integers(-1, np.array([4, 50, 9]) + unseen, size=(n, 3))
    inputs[rng.random(inputs.shape) < 0.1] = np.nan
    return inputs


def signal(inputs: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(inputs, nan=2.0)
    return np.sin(3 * known[:, 0]) + np.cos(5 * known[:, 1]) + known[:, 2] + np.sin(known[:, 4])


def binary(inputs: np.ndarray) -> np.ndarray:
    return np.where(signal(inputs) > 0.5, "late", "on time")


def three(inputs: np.ndarray) -> np.ndarray:
    return np.digitize(signal(inputs), [0, 1])


def positive(inputs: np.ndarray) -> np.ndarray:
    return np.exp(signal(inputs))


def behind_columns(last: Any, **one_hot: Any) -> Pipeline:
    numbers = make_pipeline(StandardScaler(), SimpleImputer(strategy="median", add_indicator=True))
    categories = OneHotEncoder(**{"handle_unknown": "ignore"} | one_hot)
    parts = [("categories", categories, CATEGORIES), ("numbers", numbers, NUMBERS)]
    return make_pipeline(ColumnTransformer(parts), last)


BOOSTED = {"max_iter": 8, "random_state": 0}
FOREST = {"n_estimators": 5, "random_state": 0}
LOGISTIC = behind_columns(LogisticRegression(max_iter=500))
CASES = {
    "most frequent class": (DummyClassifier(strategy="most_frequent"), three),
    "class shares": (DummyClassifier(), binary),
    "median": (DummyRegressor(strategy="median"), signal),
    "logistic regression": (behind_columns(LogisticRegression(max_iter=500)), binary),
    "multinomial regression": (behind_columns(LogisticRegression(max_iter=500)), three),
    "linear regression": (behind_columns(LinearRegression(), drop="first"), signal),
    "ridge": (behind_columns(Ridge(fit_intercept=False), drop="if_binary"), signal),
    "boosting": (BoostingClassifier(**BOOSTED), binary),
    "boosting with categories": (BoostingClassifier(categorical_features=[4, 0, 1], **BOOSTED), binary),
    "boosting of three classes": (BoostingClassifier(categorical_features=[0, 1, 4], **BOOSTED), three),
    "boosted regression": (BoostingRegressor(categorical_features=[0, 1, 4], **BOOSTED), signal),
    "boosted poisson": (BoostingRegressor(loss="poisson", **BOOSTED), positive),
    "boosted median": (BoostingRegressor(loss="absolute_error", categorical_features=[0, 1, 4], **BOOSTED), signal),
    "boosted quantile": (BoostingRegressor(loss="quantile", quantile=0.9, **BOOSTED), signal),
    "boosting in a pipeline": (make_pipeline("passthrough", BoostingClassifier(**BOOSTED)), binary),
    "forest": (RandomForestClassifier(**FOREST), binary),
    "forest of three classes": (RandomForestClassifier(**FOREST), three),
    "forest regression": (RandomForestRegressor(**FOREST), signal),
    "forest behind columns": (behind_columns(RandomForestClassifier(**FOREST)), binary),
    "extra trees": (ExtraTreesClassifier(**FOREST), three),
    "extra trees regression": (ExtraTreesRegressor(**FOREST), signal),
    "reframed": (Reframed(BoostingRegressor(categorical_features=[0, 1, 4], **BOOSTED), above=0.5), signal),
    "cascade": (Cascade(BoostingClassifier(max_iter=2), BoostingClassifier(**BOOSTED), budget=0.05), binary),
    "cascade of pipeline and forest": (Cascade(LOGISTIC, RandomForestClassifier(**FOREST), 0.05), binary),
    "hard negatives": (HardNegatives(BoostingClassifier(categorical_features=[0, 1, 4], **BOOSTED)), binary),
    "augmented": (Augmented(BoostingRegressor(**BOOSTED), lambda matrix, columns, rng: matrix + 1, None), signal),
    "tree": (DecisionTreeClassifier(max_depth=4, random_state=0), binary),
    "tree regression": (DecisionTreeRegressor(max_depth=4, random_state=0), signal),
}


@cache
def fitted(case: str) -> tuple[Any, bytes]:
    estimator, target = CASES[case]
    estimator = clone(estimator).fit(rows(), target(rows()))
    return estimator, compile_model(estimator, 6)


def error(estimator: Any, inputs: np.ndarray, target: np.ndarray, new: np.ndarray | None = None) -> float:
    estimator.fit(inputs, target)
    return measure_parity(estimator, compile_model(estimator, inputs.shape[1]), inputs if new is None else new)


@pytest.mark.parametrize("case", CASES)
def test_compiled_and_fitted_agree_with_missing_and_unseen_values(case: str) -> None:
    assert measure_parity(*fitted(case), rows(1000, seed=1, unseen=5)) <= EXACT


@pytest.mark.parametrize("case", CASES)
def test_what_a_row_gets_depends_on_no_other_row_to_the_last_bit(case: str) -> None:
    inputs, model = rows(1000, seed=1, unseen=5), open_onnx_session(fitted(case)[1])
    each = [model.run(None, {"inputs": row})[0] for row in np.split(inputs, len(inputs))]
    for size in (2, 3, 5, 8, 33, 1000):
        parts = [inputs[first : first + size] for first in range(0, len(inputs), size)]
        together = np.concatenate([model.run(None, {"inputs": part})[0] for part in parts])
        assert together.tobytes() == np.concatenate(each).tobytes(), size


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_compiled_cascade_agrees_however_many_rows_the_expensive_model_gets(share: float) -> None:
    cascade = clone(CASES["cascade"][0]).fit(rows(), binary(rows()))
    said = cascade.cheap_.predict_proba(rows())[:, 1]
    cascade.report_.update(
        low=np.quantile(said, 0.5 - share / 2) - 1e-3, high=np.quantile(said, 0.5 + share / 2) + 1e-3
    )
    model = compile_model(cascade, 6)
    assert measure_parity(cascade, model, rows()) <= EXACT
    assert all(measure_parity(cascade, model, rows()[n : n + 1]) <= EXACT for n in range(20))


def test_a_compiled_cascade_answers_no_rows_with_no_rows() -> None:
    assert open_onnx_session(fitted("cascade")[1]).run(None, {"inputs": np.empty((0, 6))})[0].shape == (0, 2)


def test_a_probability_that_only_rounding_tells_from_nought_or_one_is_answered_by_the_same_model() -> None:
    estimator, model = fitted("cascade of pipeline and forest")
    far_out = np.array([[-1.0, -1.0, np.nan, 271018.0, 1.0, np.nan], [3.0, 49.0, 1e6, -1e6, 0.0, 1e6]])
    assert measure_parity(estimator, model, far_out) <= EXACT


class Unaskable(DummyClassifier):
    """Once compiled, whoever asks it gets an error."""


def unaskable(graph: Graph, model: Any, inputs: str) -> str:
    return graph.add("Reshape", inputs, np.array([7, 2]))


def test_a_compiled_cascade_asks_the_expensive_model_about_no_row_that_the_cheap_one_is_sure_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CONVERTERS, Unaskable, unaskable)
    inputs = np.linspace(-1, 1, 100)[:, None]
    cascade = Cascade(LogisticRegression(), Unaskable()).fit(inputs, np.sin(40 * inputs[:, 0]) + inputs[:, 0] > 0)
    cascade.report_.update(low=0.4, high=0.6)
    run, sure = open_onnx_session(compile_model(cascade, 1)).run, cascade.mask_cheap_rows(inputs)
    assert 0 < sure.sum() < 100
    np.testing.assert_allclose(run(None, {"inputs": inputs[sure]})[0], cascade.predict_proba(inputs[sure]))
    with pytest.raises(Exception, match="Reshape"):
        run(None, {"inputs": inputs[~sure][:1]})


codes = st.sampled_from([-1.0, 0.0, 1.0, 3.0, 4.0, 8.0, 30.0, 31.0, 49.0, 50.0, 255.0, 256.0, 1e6, float("nan")])
numbers = st.floats(-1e6, 1e6) | st.just(float("nan"))
records = st.lists(st.tuples(codes, codes, numbers, numbers, codes, numbers), min_size=1, max_size=20)


@pytest.mark.slow
@given(records)
def test_no_record_tells_compiled_boosting_from_fitted(records: list[tuple[float, ...]]) -> None:
    for case in ("boosting with categories", "boosting of three classes", "boosted regression"):
        assert measure_parity(*fitted(case), np.array(records)) <= EXACT


@pytest.mark.slow
@given(records)
def test_no_record_tells_compiled_pipelines_and_forests_from_fitted(records: list[tuple[float, ...]]) -> None:
    for case in ("logistic regression", "forest", "extra trees regression"):
        assert measure_parity(*fitted(case), np.array(records)) <= EXACT


@pytest.mark.slow
@given(records)
def test_no_record_tells_compiled_patterns_from_fitted(records: list[tuple[float, ...]]) -> None:
    for case in ("reframed", "cascade", "cascade of pipeline and forest", "hard negatives", "augmented"):
        assert measure_parity(*fitted(case), np.array(records)) <= EXACT


@pytest.mark.slow
@given(st.integers(2, 200), st.integers(-1, 40), st.sampled_from([0, 0.3]), st.integers(0, 99))
def test_category_sets_of_any_size_and_offset_are_exact(n_codes: int, first: int, missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(first, first + n_codes, size=(300, 1)).astype(float)
    target = np.sin(7 * inputs[:, 0]) + rng.normal(size=300)
    inputs[rng.random(300) < missing] = np.nan
    every_code = np.append(np.arange(-2.0, first + n_codes + 3), np.nan)[:, None]
    model = BoostingRegressor(max_iter=3, categorical_features=[0], min_samples_leaf=2)
    assert error(model, inputs, target, every_code) <= EXACT


def test_a_model_of_other_data_is_noticed() -> None:
    estimator, _ = fitted("boosting with categories")
    other = clone(estimator).fit(rows(seed=5), binary(rows(seed=5)))
    assert measure_parity(other, fitted("boosting with categories")[1], rows()) > 0.01


def test_a_wrong_category_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, _ = fitted("boosting with categories")
    monkeypatch.setattr(trees, "_true_branch_codes", lambda codes, bits, missing_left: codes[:1])
    assert measure_parity(estimator, compile_model(estimator, 6), rows()) > 0.01


def test_one_unseen_code_is_enough_to_notice_a_set_of_the_wrong_side(monkeypatch: pytest.MonkeyPatch) -> None:
    members = trees._true_branch_codes
    monkeypatch.setattr(
        trees, "_true_branch_codes", lambda codes, bits, left: np.append(members(codes, bits, left), 77.0)
    )
    model = BoostingRegressor(max_iter=3, categorical_features=[0])
    inputs = np.repeat(np.arange(5.0), 40)[:, None]
    assert error(model, inputs, inputs[:, 0] % 2) <= EXACT
    assert error(model, inputs, inputs[:, 0] % 2, np.array([[77.0]])) > 0.01


def test_parity_of_an_answer_that_is_not_a_number_passes_no_limit() -> None:
    strict = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    lenient = BoostingClassifier().fit([[0.0], [1.0]], [0, 1])
    assert not measure_parity(lenient, compile_model(strict, 1), np.array([[np.nan]])) <= EXACT


def test_parity_refuses_answers_of_different_shape() -> None:
    with pytest.raises(ValueError, match=r"answers \(600, 3\), the fitted one \(600, 2\)"):
        measure_parity(fitted("forest")[0], fitted("forest of three classes")[1], rows())


@pytest.mark.parametrize("case", CASES)
def test_the_same_estimator_gives_the_same_bytes(case: str) -> None:
    estimator, model = fitted(case)
    assert compile_model(estimator, 6) == model


@pytest.mark.parametrize(("case", "shape"), [("forest of three classes", ["n", 3]), ("ridge", ["n"])])
def test_input_and_output_are_named_and_typed(case: str, shape: list[str | int]) -> None:
    session = onnxruntime.InferenceSession(fitted(case)[1])
    described = [(value.name, value.type, value.shape) for value in session.get_inputs() + session.get_outputs()]
    assert described == [("inputs", "tensor(double)", ["n", 6]), ("output", "tensor(double)", shape)]


def test_nothing_is_computed_in_single_precision_but_what_scikit_learn_rounds() -> None:
    def casts(case: str) -> list[int]:
        nodes = onnx.load_from_string(fitted(case)[1]).graph.node
        return [node.attribute[0].i for node in nodes if node.op_type == "Cast"]

    assert onnx.TensorProto.FLOAT not in casts("logistic regression")
    assert casts("forest") == [onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE]


def test_forests_round_at_the_threshold_as_scikit_learn_does() -> None:
    inputs = np.linspace(0, 1, 500)[:, None]
    forest = RandomForestRegressor(**FOREST).fit(inputs, np.sin(60 * inputs[:, 0]))
    edges = np.concatenate([tree.tree_.threshold for tree in forest.estimators_])
    around = np.concatenate([edges, np.nextafter(edges, 9), np.nextafter(edges, -9)])[:, None]
    assert measure_parity(forest, compile_model(forest, 1), around) <= EXACT


@pytest.mark.parametrize("model", [BoostingRegressor(max_iter=3), RandomForestRegressor(3)])
def test_trees_of_a_single_leaf_keep_their_value(model: Any) -> None:
    assert error(model, np.zeros((30, 2)), np.arange(30.0)) <= EXACT


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("flags", [False, True])
@pytest.mark.parametrize("is_scaled_first", [False, True])
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_empty_and_constant_columns_are_imputed_and_scaled_alike(
    keep: bool, flags: bool, is_scaled_first: bool
) -> None:
    inputs = np.column_stack([np.full(40, np.nan), np.full(40, 3.0), rows(40)[:, 2]])
    steps = [SimpleImputer(keep_empty_features=keep, add_indicator=flags), StandardScaler()]
    model = make_pipeline(*(reversed(steps) if is_scaled_first else steps), Ridge())
    assert error(model, inputs, np.arange(40.0), inputs[:, ::-1].copy()) <= EXACT


def test_columns_may_be_dropped_passed_through_and_reordered() -> None:
    parts = [("last", "passthrough", [5]), ("none", "drop", [0, 1]), ("empty", StandardScaler(), [])]
    model = make_pipeline(ColumnTransformer(parts, remainder=StandardScaler()), Ridge())
    assert error(model, np.nan_to_num(rows()), signal(rows())) <= EXACT


def test_a_category_seen_as_missing_has_its_own_column() -> None:
    inputs = np.array([[0.0], [1.0], [np.nan]] * 10)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    assert error(model, inputs, np.tile([0, 0, 1], 10), np.array([[np.nan], [0.0], [-1.0]])) <= EXACT


@pytest.mark.parametrize("estimator", [KNeighborsClassifier(2), SVC(), make_pipeline(StandardScaler(), SVC())])
def test_an_unsupported_estimator_is_named_with_what_can_be_compiled(estimator: Any) -> None:
    estimator.fit([[0.0], [1.0]], [0, 1])
    name = type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__
    with pytest.raises(CannotCompile, match=rf"cannot compile {name}: .*HistGradientBoostingClassifier"):
        compile_model(estimator, 1)


ONE_HOT = {"handle_unknown": "ignore"}
NUMERIC, TEXT, LABELS = [[0.0], [0.0], [1.0], [1.0], [2.0]], [["a"], ["b"], ["a"], ["b"], ["a"]], [0, 1, 0, 1, 0]
REFUSED = {
    "probabilities are random": (DummyClassifier(strategy="stratified"), NUMERIC, LABELS),
    "unseen code": (make_pipeline(OneHotEncoder(), Ridge()), NUMERIC, LABELS),
    "infrequent": (make_pipeline(OneHotEncoder(min_frequency=2, **ONE_HOT), Ridge()), NUMERIC, LABELS),
    "not integer codes": (make_pipeline(OneHotEncoder(**ONE_HOT), Ridge()), TEXT, LABELS),
    "missing_values is -1": (make_pipeline(SimpleImputer(missing_values=-1), Ridge()), NUMERIC, LABELS),
    "neither classifier nor regressor": (KMeans(n_clusters=2), NUMERIC, LABELS),
    "LinearRegression: it has several outputs": (LinearRegression(), NUMERIC, np.eye(5)),
    "RandomForestRegressor: it has several outputs": (RandomForestRegressor(2), NUMERIC, np.eye(5)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_exact_counterpart_is_refused(reason: str) -> None:
    estimator, inputs, target = REFUSED[reason]
    with pytest.raises(CannotCompile, match=reason):
        compile_model(estimator.fit(inputs, target), 1)


def test_an_unfitted_estimator_is_refused() -> None:
    with pytest.raises(NotFittedError):
        compile_model(LogisticRegression(), 3)


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="n_inputs is 7, but RandomForestClassifier was fitted on 6 columns"):
        compile_model(fitted("forest")[0], 7)


def test_one_function_teaches_a_new_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    class Halved(LinearRegression):
        def predict(self, inputs: Any) -> np.ndarray:
            return super().predict(inputs) / 2

    def halved(graph: Graph, model: Any, inputs: str) -> str:
        return graph.add("Mul", CONVERTERS[LinearRegression](graph, model, inputs), np.array(0.5))

    monkeypatch.setitem(CONVERTERS, Halved, halved)
    assert error(Halved(), np.array([[0.0], [1.0]]), np.array([1.0, 5.0])) <= EXACT
