"""`problem/candidates.py`: a forest, a boosted and a linear model of a size that suits the rows, and the baseline."""

from string import Template

from penumbra.drafting.draft import ProblemDraft

CANDIDATE_NAMES = ("forest", "boosting", "linear")  # the slowest first
REPLAYED_CANDIDATE = "boosting"
# Up to so many rows: trees and leaves of boosting, rows of its leaves, rows of the forest's leaves.
SIZES = ((2_000, 50, 6, 10, 5), (20_000, 100, 12, 20, 5), (200_000, 200, 16, 100, 20), (2**63, 300, 31, 500, 100))
CLASSIFICATION = {
    "kind": "Classifier",
    "linear_model": "LogisticRegression",
    "linear_call": "LogisticRegression(C=0.3, max_iter=300)",
    "baseline": "The share of each class, whatever the inputs",
    "dummy": 'DummyClassifier(strategy="prior")',
}
REGRESSION = {
    "kind": "Regressor",
    "linear_model": "Ridge",
    "linear_call": "Ridge(10)",
    "baseline": "The mean, whatever the inputs",
    "dummy": "DummyRegressor()",
}
TEMPLATE = Template('''\
"""The experiments: each a name and a function that returns an unfitted scikit-learn estimator.

The slowest candidates stand first: they are fitted side by side.
"""

from typing import Any

from penumbra.patterns import Candidate, Columns

SEED = 1


def forest(columns: Columns) -> Any:
    from sklearn.ensemble import RandomForest$kind

    return RandomForest$kind(100, min_samples_leaf=$forest_leaf, max_features=0.3, random_state=SEED)


def boosting(columns: Columns) -> Any:
    from sklearn.ensemble import HistGradientBoosting$kind

    return HistGradientBoosting$kind(
        categorical_features=columns.categorical,
        max_iter=$trees,
        learning_rate=0.05,
        max_leaf_nodes=$leaves,
        min_samples_leaf=$boosting_leaf,
        random_state=SEED,
    )


def linear(columns: Columns) -> Any:
    """Numbers scaled and filled, categories as indicators."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import $linear_model
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    # Scaled before they are filled, so that the mark of a missing value stays 0 or 1, however rare it is.
    numbers = make_pipeline(StandardScaler(), SimpleImputer(strategy="median", add_indicator=True))
    categories = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)]),
        $linear_call,
    )


def baseline(columns: Columns) -> Any:
    """$baseline: what every candidate must beat."""
    from sklearn.dummy import Dummy$kind

    return $dummy


CANDIDATES = {"forest": Candidate(forest), "boosting": Candidate(boosting), "linear": Candidate(linear)}
''')


def render_candidates(draft: ProblemDraft) -> str:
    """Write `problem/candidates.py`.

    Args:
        draft: The draft; the task and the number of rows are read.

    Returns:
        The file's text.
    """
    trees, leaves, boosting_leaf, forest_leaf = next(sizes for most, *sizes in SIZES if draft.rows <= most)
    words = REGRESSION if draft.target.task == "number" else CLASSIFICATION
    return TEMPLATE.substitute(words, trees=trees, leaves=leaves, boosting_leaf=boosting_leaf, forest_leaf=forest_leaf)
