"""scikit-learn and skops."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeRegressor


def test_scikit_learn_boosting_refuses_a_category_of_more_than_255_values():
    codes = np.arange(256.0).reshape(-1, 1)
    with pytest.raises(ValueError, match="cardinality"):
        HistGradientBoostingClassifier(categorical_features=[0]).fit(codes, codes[:, 0] % 2)


def test_scikit_learn_boosting_refuses_a_column_without_a_value():
    column = np.full((50, 1), np.nan)
    with pytest.raises(ValueError, match="window shape cannot be larger"):
        HistGradientBoostingClassifier().fit(column, np.arange(50) % 2)
    column[0] = 1.0
    HistGradientBoostingClassifier().fit(column, np.arange(50) % 2)


def test_scikit_learn_trees_compare_in_single_precision():
    tree = DecisionTreeRegressor().fit([[0.0], [2.0]], [0, 1])
    assert tree.tree_.threshold[0] == 1.0
    assert tree.predict([[np.nextafter(1.0, 2.0)]]) == tree.predict([[1.0]])


def test_scikit_learn_log_loss_depends_on_the_dtype_of_the_probabilities():
    wrong = np.array([[1.0, 0.0]])
    losses = [log_loss([1], wrong.astype(dtype), labels=[0, 1]) for dtype in (np.float64, np.float32)]
    assert losses == pytest.approx([36.04, 15.94], abs=0.01)


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(1, random_state=1).fit([[0.0], [1.0]], [0, 1])


def test_skops_gives_other_bytes_each_time(forest):
    from skops.io import dumps

    assert dumps(forest) != dumps(forest)


def test_skops_does_not_trust_the_trees_of_scikit_learn(forest):
    from skops.io import dumps, get_untrusted_types

    assert "sklearn.tree._tree.Tree" in get_untrusted_types(data=dumps(forest))
