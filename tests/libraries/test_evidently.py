"""Evidently, whose import alone takes several seconds."""

import warnings

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def evidently():
    with warnings.catch_warnings():  # it uses deprecated parts of its dependencies
        warnings.simplefilter("ignore")
        import evidently
        import evidently.metrics
    return evidently


def name_drift_method(evidently, reference):
    """The method that Evidently chooses for a number with this reference."""
    types = evidently.DataDefinition(numerical_columns=["x"])
    now, then = (
        evidently.Dataset.from_pandas(pd.DataFrame({"x": values}), data_definition=types)
        for values in (reference[:500], reference)
    )
    run = evidently.Report([evidently.metrics.ValueDrift(column="x")]).run(now, then)
    return run.dict()["metrics"][0]["config"]["method"]


def guess_types(evidently, **columns):
    definition = evidently.Dataset.from_pandas(pd.DataFrame(columns))._data_definition
    return {
        **dict.fromkeys(definition.get_numerical_columns(), "number"),
        **dict.fromkeys(definition.get_categorical_columns(), "category"),
    }


def test_evidently_chooses_the_method_by_the_size_of_the_reference_alone(evidently):
    values = np.random.default_rng(1).normal(size=1001)
    assert name_drift_method(evidently, values[:1000]) == "K-S p_value"
    assert name_drift_method(evidently, values) == "Wasserstein distance (normed)"


def test_evidently_tests_a_number_of_few_values_as_a_category(evidently):
    assert name_drift_method(evidently, np.tile([1.0, 2.0, 3.0], 200)) == "chi-square p_value"


def test_evidently_takes_whole_numbers_of_few_values_for_a_category(evidently):
    assert guess_types(evidently, few=[1, 2] * 10, many=list(range(20))) == {"few": "category", "many": "number"}


def test_evidently_leaves_nullable_columns_of_pandas_out_without_a_word(evidently):
    assert guess_types(evidently, n=pd.array([1, 2, None] * 10, dtype="Int64")) == {}


def test_evidently_loses_the_whole_report_for_one_empty_column(evidently):
    types = evidently.DataDefinition(numerical_columns=["x", "y"])
    full = pd.DataFrame({"x": [1.0, 2.0] * 9, "y": [1.0, 2.0] * 9})
    now, then = (evidently.Dataset.from_pandas(rows, data_definition=types) for rows in (full.assign(y=np.nan), full))
    with pytest.raises(ValueError, match="An empty column 'y'"):
        evidently.Report([evidently.metrics.DriftedColumnsCount()]).run(now, then).dict()
