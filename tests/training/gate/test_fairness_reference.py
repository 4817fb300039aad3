"""The metrics of groups have fairlearn's names and values."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from fairlearn import metrics

from penumbra.core.metrics.group_metrics import compute_group_values, sum_by_group
from penumbra.core.task import Task
from penumbra.training.evaluation.group_scores import compare_groups, score_groups


@pytest.fixture
def decided():
    """Groups, labels, scores and decisions of 3,000 rows, and their sums."""
    rng = np.random.default_rng(7)
    groups, labels, scores = rng.choice(list("abc"), 3000), rng.random(3000) < 0.4, rng.random(3000)
    values = compute_group_values(Task("binary"), labels, scores, 0.6)
    days = pl.Series([dt.date(2024, 1, 1)] * 3000)
    return groups, labels, scores >= 0.6, sum_by_group(pl.DataFrame({"sex": groups.tolist()}), values, days)


@pytest.mark.parametrize("name", ["selection_rate", "true_positive_rate", "false_positive_rate"])
def test_rates_of_groups_are_fairlearns(name, decided):
    groups, labels, chosen, sums = decided
    frame = metrics.MetricFrame(metrics=getattr(metrics, name), y_true=labels, y_pred=chosen, sensitive_features=groups)
    found = score_groups(sums).filter(metric=name).select("group", "value")
    assert dict(found.iter_rows()) == pytest.approx(frame.by_group.to_dict())


@pytest.mark.parametrize("name", ["demographic_parity", "equal_opportunity", "equalized_odds"])
def test_differences_and_ratios_are_fairlearns(name, decided):
    groups, labels, chosen, sums = decided
    difference, ratio = (
        getattr(metrics, f"{name}_{kind}")(labels, chosen, sensitive_features=groups)
        for kind in ("difference", "ratio")
    )
    row = compare_groups(sums, "binary").row(by_predicate=pl.col("comparison") == name, named=True)
    assert (row["value"], row["ratio"]) == (pytest.approx(difference), pytest.approx(ratio))
