import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsClassifier

from penumbra.core.task import Task
from penumbra.training.evaluation.inspection import MISSING, inspect_model, measure_dependence, measure_importance

NAMES = ["hour", "carrier", "noise"]
TABLES = {"carrier": {"AA": 0, "UA": 1}}


def draw(count: int = 800) -> np.ndarray:
    """An hour with gaps, a carrier that may be unseen, and noise."""
    rng = np.random.default_rng(3)
    hours, carriers = rng.integers(0, 24, count), rng.integers(-1, 2, count)
    inputs = np.column_stack([hours, carriers, rng.normal(size=count)]).astype(float)
    inputs[rng.random(count) < 0.1, 0] = np.nan
    return inputs


def is_late(inputs: np.ndarray) -> np.ndarray:
    return np.nan_to_num(inputs[:, 0]) + 6 * (inputs[:, 1] == 1) > 15


def test_the_feature_that_decides_most_is_the_most_important_and_noise_costs_nothing() -> None:
    inputs = draw()
    model = HistGradientBoostingClassifier(max_iter=20).fit(inputs, is_late(inputs))
    rows = measure_importance(Task("binary"), model, (inputs, is_late(inputs)), NAMES)
    assert [row["feature"] for row in rows][:2] == ["hour", "carrier"]
    assert rows[0]["low"] <= rows[0]["value"] <= rows[0]["high"]
    assert rows[2]["value"] == pytest.approx(0, abs=0.02)


def test_the_dependence_on_a_number_rises_over_its_quantiles_and_on_a_category_has_its_values() -> None:
    inputs = draw()
    model = HistGradientBoostingClassifier(max_iter=20).fit(inputs, is_late(inputs))
    points = inspect_model(Task("binary"), model, (inputs, is_late(inputs)), NAMES, TABLES)["dependence"]
    hours = [point["predicted"] for point in points if point["feature"] == "hour"]
    carriers = {point["value"]: point["predicted"] for point in points if point["feature"] == "carrier"}
    assert hours[0] < 0.1
    assert hours[-1] > 0.9
    assert carriers.keys() == {"AA", "UA", MISSING}
    assert carriers["UA"] > carriers["AA"]


def test_each_class_has_a_line() -> None:
    inputs, task = draw(), Task("multiclass", ("early", "on time", "late"))
    model = HistGradientBoostingClassifier(max_iter=5).fit(inputs, np.digitize(np.nan_to_num(inputs[:, 0]), [8, 16]))
    points = measure_dependence(task, model, inputs, NAMES, TABLES, ["hour"])
    assert {point["class"] for point in points} == set(task.classes)


def test_a_regression_is_asked_for_its_value() -> None:
    inputs = draw()
    model = HistGradientBoostingRegressor(max_iter=20).fit(inputs, 100 + np.nan_to_num(inputs[:, 0]))
    points = measure_dependence(Task("regression"), model, inputs, NAMES, TABLES, ["hour"])
    assert all(90 < point["predicted"] < 130 and point["class"] == "" for point in points)


def test_a_feature_without_two_values_has_no_dependence() -> None:
    constant, model = np.zeros((50, 1)), DummyClassifier().fit(np.zeros((50, 1)), np.arange(50) > 20)
    assert measure_dependence(Task("binary"), model, constant, ["hour"], {}, ["hour"]) == []


def test_the_curves_of_two_rows_and_of_an_enum_of_two_classes_are_measured() -> None:
    inputs = draw()
    model = HistGradientBoostingClassifier(max_iter=20).fit(inputs, is_late(inputs).astype(int))
    two = np.array([[3.0, 0.0, 0.0], [20.0, 1.0, 1.0]])
    assert measure_dependence(Task("binary"), model, two, NAMES, TABLES, ["hour"])
    points = measure_dependence(Task("multiclass", ("early", "late")), model, inputs, NAMES, TABLES, ["hour"])
    by_class = {name: [p["predicted"] for p in points if p["class"] == name] for name in ("early", "late")}
    assert np.array(by_class["early"]) + by_class["late"] == pytest.approx(1)
    assert by_class["late"][-1] > 0.9


def test_a_model_that_fails_on_changed_rows_has_no_curves_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    inputs = draw(50)
    model = KNeighborsClassifier().fit(np.nan_to_num(inputs), is_late(inputs))  # which takes no gaps
    found = inspect_model(Task("binary"), model, (inputs, is_late(inputs)), NAMES, TABLES)
    assert found == {"importance": [], "dependence": []}
    assert "Input X contains NaN" in caplog.text
