"""The benchmark of labels: half a year of made rows, and error rates of made days."""

import numpy as np
import pytest

from benchmarks.statistics.flywheel.__main__ import measure_label_share, measure_real_coverage
from benchmarks.statistics.flywheel.coverage import make_days, measure_coverage
from benchmarks.statistics.flywheel.labelling import POLICIES, measure_all_labels, play_labelling
from benchmarks.statistics.flywheel.streams import KNOWN_DAYS, RowStream
from penumbra.core.encoding import FeatureEncoder
from penumbra.core.task import Task
from penumbra.features import Number

ROWS = 12


@pytest.fixture(scope="module")
def stream():
    """Twelve rows a day of three classes that follow from two numbers and some noise."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(220 * ROWS, 2))
    labels = np.digitize(inputs[:, 0] + 0.5 * random.normal(size=len(inputs)), [-0.5, 0.8])
    columns = FeatureEncoder((Number("x"), Number("y")), {})
    return RowStream(
        "linear", Task("multiclass", ("a", "b", "c")), columns, inputs, labels, np.arange(len(inputs)) // ROWS
    )


@pytest.mark.slow
def test_labels_lower_the_loss_on_later_days_and_wrong_ones_less(stream):
    all_labels, none = measure_all_labels(stream), measure_all_labels(stream, KNOWN_DAYS)
    losses = {name: play_labelling(stream, policy, 1 / 3, seed=1) for name, policy in POLICIES.items()}
    assert {count for count, _ in losses.values()} == {180 * ROWS // 3}
    assert all_labels < losses["by chance"][1] < none
    assert losses["by need"][1] < losses["by need, 5 % wrong"][1]


@pytest.mark.slow
def test_the_tables_have_a_line_for_each_number_of_labels(stream, capsys):
    reached = measure_label_share("made", stream, (1 / 6,), seeds=2)
    assert reached.keys() == {"by need", "by chance"}
    title, header, *lines = capsys.readouterr().out.strip().splitlines()
    assert title.startswith("made: 2,160 rows to label, model 'linear'; log-loss with all labels ")
    assert header.split()[:3] == ["labels", "share", "hours"]
    assert [line.split()[:3] for line in lines] == [["360", "0.17", "3"]]


def test_weighted_estimates_hold_the_error_rate_of_real_days(stream, capsys):
    (found,) = measure_real_coverage({"made": stream}, simulations=30)
    assert found.weighted > 0.85
    assert "made" in capsys.readouterr().out


def test_without_weights_the_rate_of_what_was_looked_for_is_taken_for_that_of_all_rows():
    found = measure_coverage(make_days(0.05, 5, seed=1, days=20), seed=1, simulations=60)
    assert found.weighted > 0.88
    assert found.naive < 0.1
    assert found.naive_rate > 2 * found.rate
