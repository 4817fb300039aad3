"""What the benchmark of prediction sets calls covered, late and followed."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from benchmarks.statistics.uncertainty import METHODS, MonthlyRows, answer_later_months, summarise_versions
from penumbra.core.task import Task

NUMBER = Task("regression")
DAYS, ROWS = 300, 20


def make_rows(rise=0.0):
    """Ten months of thirty days, whose errors grow by so much a day from the fourth month on."""
    random = np.random.default_rng(4)
    days = np.repeat(np.arange(DAYS), ROWS)
    inputs = random.standard_normal((len(days), 2))
    spread = 1 + rise * np.maximum(days - 90, 0)
    labels = inputs[:, 0] + spread * random.standard_normal(len(days))
    return MonthlyRows(NUMBER, LinearRegression, inputs, labels, days // 30, days)


def summarise(rows, method):
    return summarise_versions(NUMBER, list(answer_later_months(rows, method, [3])))


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_changes_every_method_keeps_its_promise(method):
    found = summarise(make_rows(), method)
    assert found["covered"] == pytest.approx(0.9, abs=0.02)
    assert found["size"] == pytest.approx(2 * 1.645, abs=0.25)


@pytest.mark.slow
def test_where_errors_grow_only_limits_that_follow_the_labels_keep_up():
    rows = make_rows(rise=0.01)
    fixed, latest, adaptive = (summarise(rows, method)["covered"] for method in ("split", "latest days", "adaptive"))
    assert fixed < 0.75
    assert latest > 0.85
    assert adaptive > 0.85


def test_each_month_is_answered_by_the_version_of_the_months_before_it():
    rows = make_rows()
    answered = list(answer_later_months(rows, "split", range(3, 10)))
    assert [np.unique(each.months).tolist() for each in answered] == [[month] for month in range(3, 10)]
