"""The parts of a loss's rise: what was put in comes out, in figures that can be computed by hand."""

import numpy as np
import pytest

from monitoring.explanations import loss_regression
from monitoring.explanations.loss_regression import LossRegression, learn_loss_regression
from monitoring.explanations.loss_rise import OTHER_COLUMNS, SlicePlace, decompose_loss_rise
from monitoring.explanations.records import LossRise
from penumbra.core.histograms import Binning

BINNING = Binning({}, {"shop": ["north", "web"], "day_part": ["late", "early"]})
SHOP, PART = (BINNING.columns[name].start for name in ("shop", "day_part"))
WEB = SlicePlace("shop is web", SHOP + 1)
DAYS, ROWS = 20, 100


@pytest.fixture(autouse=True)
def _no_ridge(monkeypatch):
    """Next to no ridge, so that effects are the plain differences of means."""
    monkeypatch.setattr(loss_regression, "RIDGE_STRENGTHS", (1e-9,))


def rows(web: int, early: int) -> np.ndarray:
    """A day of 100 rows, so many from the web shop and, independently of that, so many early ones."""
    web_rows, early_rows = np.arange(ROWS) < web, np.arange(ROWS) * 7 % ROWS < early
    return np.column_stack([SHOP + web_rows, PART + early_rows])


def learn(web: int = 20, early: int = 50) -> LossRegression:
    """A row from the web shop loses 1.0, another one 0.5."""
    bins = np.concatenate([rows(web, early)] * DAYS)
    losses = np.where(bins[:, 0] == WEB.at, 1.0, 0.5)
    found = learn_loss_regression(bins, losses, np.repeat(np.arange(DAYS), ROWS), BINNING)
    assert found is not None
    return found


def decompose(web: int, lost: tuple[float, float] = (0.5, 1.0), days: int = 7) -> LossRise:
    """Days with so many rows from the web shop, where other rows and these lose so much."""
    bins = rows(web, 50)
    losses = np.where(bins[:, 0] == WEB.at, lost[1], lost[0])
    counts = np.bincount(bins.ravel(), minlength=BINNING.size)
    by_bin = np.bincount(bins.ravel(), np.repeat(losses, 2), BINNING.size)
    found = decompose_loss_rise(np.array([counts] * days), np.array([by_bin] * days), learn(), BINNING, [WEB])
    assert found is not None
    return found


def amounts(found: LossRise) -> tuple[float, float, float]:
    assert found.rise is not None
    assert found.relation is not None
    return found.rise.amount, found.inputs.amount, found.relation.amount


def test_nothing_has_changed():
    found = decompose(20)
    assert amounts(found) == pytest.approx((0, 0, 0), abs=1e-6)
    assert (found.usual, found.labels) == (pytest.approx(0.6), 700)


def test_more_rows_of_a_harder_kind_are_a_shift_of_the_inputs():
    """30 % more rows lose 0.5 more each."""
    assert amounts(decompose(50)) == pytest.approx((0.15, 0.15, 0), abs=1e-6)


def test_rows_that_lose_more_than_they_did_are_a_change_of_the_relation():
    assert amounts(decompose(20, (0.7, 1.2))) == pytest.approx((0.2, 0, 0.2), abs=1e-6)


def test_both_at_once_are_told_apart():
    assert amounts(decompose(50, (0.7, 1.2))) == pytest.approx((0.35, 0.15, 0.2), abs=1e-6)


def test_they_may_cancel_out():
    assert amounts(decompose(50, (0.35, 0.85))) == pytest.approx((0, 0.15, -0.15), abs=1e-6)


def test_the_column_that_shifted_has_the_part_of_the_inputs():
    found = decompose(50)
    parts = {part.name: part.amount for part in found.columns}
    assert parts == pytest.approx({"shop": 0.15, "day_part": 0, OTHER_COLUMNS: 0}, abs=1e-6)
    assert sum(parts.values()) == pytest.approx(found.inputs.amount)


def test_a_slice_adds_its_rise_times_its_share():
    (part,) = decompose(20, (0.5, 1.8)).slices
    assert (part.name, part.amount) == ("shop is web", pytest.approx(0.16))


def test_without_labels_only_the_inputs_can_be_told():
    counts = np.bincount(rows(50, 50).ravel(), minlength=BINNING.size)
    found = decompose_loss_rise(np.array([counts] * 7), None, learn(), BINNING, [WEB])
    assert found is not None
    assert (found.rise, found.relation, found.labels, found.slices) == (None, None, 0, [])
    assert found.inputs.amount == pytest.approx(0.15, abs=1e-6)


def test_values_that_the_reference_never_had_are_counted():
    learnt = learn(web=0)
    counts = np.bincount(rows(30, 50).ravel(), minlength=BINNING.size)
    found = decompose_loss_rise(np.array([counts] * 7), None, learnt, BINNING)
    assert found is not None
    assert found.unseen == {"shop": pytest.approx(0.3)}


def test_days_that_differ_make_intervals_and_more_of_them_narrower_ones():
    learnt, rng, widths = learn(), np.random.default_rng(1), []
    for days in (3, 30):
        shares = rng.integers(40, 60, days)
        counts = np.array([np.bincount(rows(web, 50).ravel(), minlength=BINNING.size) for web in shares])
        found = decompose_loss_rise(counts, None, learnt, BINNING)
        assert found is not None
        assert found.inputs.low <= 0.15 <= found.inputs.high
        widths.append(found.inputs.high - found.inputs.low)
    assert widths[0] > 2 * widths[1] > 0


def test_one_day_or_too_short_a_reference_can_t_be_taken_apart():
    counts = np.bincount(rows(50, 50).ravel(), minlength=BINNING.size)
    assert decompose_loss_rise(counts[None], None, learn(), BINNING) is None
    nine = np.repeat(np.arange(9), ROWS)
    assert learn_loss_regression(np.concatenate([rows(20, 50)] * 9), np.ones(900), nine, BINNING) is None


def test_rows_without_a_label_are_left_out_of_the_reference():
    bins = np.concatenate([rows(20, 50)] * DAYS)
    losses = np.full(len(bins), 0.5)
    losses[::2] = np.nan
    found = learn_loss_regression(bins, losses, np.repeat(np.arange(DAYS), ROWS), BINNING)
    assert found is not None
    assert found.rows[0] == DAYS * ROWS / 2
