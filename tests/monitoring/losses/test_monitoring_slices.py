"""Where a model loses more than it did: named where it is so, and nothing where nothing has changed."""

import numpy as np
import pytest

from monitoring.losses.slices import MAX_NAMED_SLICES, MIN_SLICE_LABELS, SliceSums, find_degraded_slices
from penumbra.core.histograms import MISSING_CATEGORY, Binning

CARRIERS = ["AA", "B6", "DL", "EV", "UA", "US"]
BINNING = Binning({"temp": [40.0]}, {"carrier": CARRIERS, "penumbra.prediction": ["clear", "rain"]})
PLACE = BINNING.columns["carrier"]
NULL = PLACE.stop - 1


def days(n: int, seed: int, rows: int = 40, **risen: float) -> SliceSums:
    """So many rows of each carrier a day, with losses that go up and down with the day; some have `risen`."""
    rng = np.random.default_rng(seed)
    counts, losses = np.zeros((n, BINNING.size), np.int64), np.zeros((n, BINNING.size))
    level = rng.normal(0, 0.05, (n, 1)) + [0.5 + risen.get(name, 0) for name in CARRIERS]
    counts[:, PLACE.start : PLACE.start + len(CARRIERS)] = rows
    losses[:, PLACE.start : PLACE.start + len(CARRIERS)] = rows * (level + rng.normal(0, 0.05, level.shape))
    return counts, losses


def test_a_slice_that_got_worse_is_named_with_what_it_was():
    (found,) = find_degraded_slices(days(7, 1, EV=0.3), days(50, 2), BINNING)
    assert (found.column, found.value, found.labels) == ("carrier", "EV", 280)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(0.8, abs=0.05)
    assert found.reference == pytest.approx(0.5, abs=0.05)


def test_the_most_risen_comes_first_and_the_others_are_not_named():
    found = find_degraded_slices(days(7, 1, EV=0.3, AA=0.5), days(50, 2), BINNING)
    assert [each.value for each in found] == ["AA", "EV"]


def test_a_slice_that_got_better_is_not_named():
    assert find_degraded_slices(days(7, 1, EV=-0.3), days(50, 2), BINNING) == []


@pytest.mark.slow
def test_where_nothing_has_changed_few_windows_name_anything():
    """One in twenty is allowed."""
    named = [find_degraded_slices(days(7, seed), days(50, 1000 + seed), BINNING) for seed in range(200)]
    assert sum(map(bool, named)) <= 18


def test_a_slice_of_few_labels_is_not_looked_at():
    few = MIN_SLICE_LABELS // 7
    assert find_degraded_slices(days(7, 1, rows=few, EV=0.3), days(50, 2), BINNING) == []
    assert find_degraded_slices(days(7, 1, EV=0.3), days(7, 2, rows=few), BINNING) == []


def test_missing_values_are_a_slice_too():
    window, reference = days(7, 1), days(50, 2)
    for sums, loss in ((window, 0.9), (reference, 0.5)):
        sums[0][:, NULL] = 20
        sums[1][:, NULL] = 20 * (loss + np.random.default_rng(3).normal(0, 0.05, len(sums[0])))
    assert [(each.column, each.value) for each in find_degraded_slices(window, reference, BINNING)] == [
        ("carrier", MISSING_CATEGORY)
    ]


def test_words_that_the_reference_has_none_of_are_not_looked_at():
    window, reference = days(7, 1), days(50, 2)
    window[0][:, NULL], window[1][:, NULL] = 40, 40 * 0.9
    assert find_degraded_slices(window, reference, BINNING) == []


def test_neither_numbers_nor_the_models_own_words_are_slices():
    window, reference = days(7, 1), days(50, 2)
    for sums, loss in ((window, 0.9), (reference, 0.5)):
        for column in ("temp", "penumbra.prediction"):
            sums[0][:, BINNING.columns[column]] = 40
            sums[1][:, BINNING.columns[column]] = 40 * loss
    assert find_degraded_slices(window, reference, BINNING) == []


def test_no_more_are_named_than_can_be_read():
    words = [f"{number:02}" for number in range(30)]
    binning = Binning({}, {"dest": words})
    rng = np.random.default_rng(1)
    sums = []
    for n, level in ((7, 0.9), (50, 0.5)):
        rows = np.full((n, binning.size), 40)
        sums.append((rows, rows * (level + rng.normal(0, 0.05, rows.shape))))
    assert len(find_degraded_slices(sums[0], sums[1], binning)) == MAX_NAMED_SLICES


def test_too_few_days_name_nothing():
    assert find_degraded_slices(days(1, 1, EV=0.3), days(2, 2), BINNING) == []
    assert find_degraded_slices(days(0, 1), days(0, 2), BINNING) == []
