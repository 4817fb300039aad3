"""The explanation of a window as a whole, and its sentences."""

import datetime as dt

import numpy as np
import pytest

from monitoring.explanations import sentences
from monitoring.explanations.loss_regression import learn_loss_regression
from monitoring.explanations.records import ChangeDay, ColumnShift, Explanation, LossPart, LossRise
from monitoring.explanations.window_explanation import ColumnMove, WindowEvidence, explain_window
from penumbra.core.histograms import Binning, DegradedSlice, OutcomeSums, Profile

BINNING = Binning({}, {"shop": ["north", "web"]})
BEGIN, ONE_DAY = dt.date(2024, 7, 8), dt.timedelta(days=1)
JULY_3 = dt.date(2024, 7, 3)
PART = LossPart("", 0.06, 0.02, 0.1)
NONE = LossPart("", 0.0, -0.02, 0.02)


def days(first: dt.date, *web: int) -> dict[dt.date, Profile]:
    """Days of 100 rows, so many of them from the web shop."""
    return {first + at * ONE_DAY: Profile(100, np.array([100 - n, n, 0, 0])) for at, n in enumerate(web)}


def outcomes(window: dict[dt.date, Profile], north: float, web: float) -> dict[dt.date, OutcomeSums]:
    found = {}
    for day, profile in window.items():
        by_bin = profile.counts * [north, web, 0, 0]
        found[day] = OutcomeSums(100, 100, 100, 100, by_bin.sum(), 0.0, profile.counts, by_bin, np.zeros((3, 1)))
    return found


def make_evidence(north: float = 0.5, web: float = 1.0, labelled: bool = True) -> WindowEvidence:
    reference = days(dt.date(2024, 5, 1), *[20, 22] * 10)
    window = days(BEGIN, 50, 52, 50, 52, 50, 52, 50)
    bins = np.concatenate([np.repeat([0, 1], day.counts[:2]) for day in reference.values()])[:, None]
    learnt = learn_loss_regression(bins, np.where(bins[:, 0] == 1, 1.0, 0.5), np.repeat(np.arange(20), 100), BINNING)
    usual = np.array([0.5 + 0.005 * day.counts[1] for day in reference.values()])
    earlier = days(BEGIN - 7 * ONE_DAY, 20, 22, 20, 22, 20, 22, 50)
    recent = {**earlier, **window}
    known = outcomes(recent, north, web) if labelled else {}
    return WindowEvidence(BEGIN, BEGIN + 7 * ONE_DAY, BINNING, recent, reference, known, usual, learnt)


def test_a_column_beyond_its_threshold_has_its_shift_and_the_day_of_it():
    found = explain_window(make_evidence(), {"shop": ColumnMove(1.5)})
    (shift,) = found.shifts
    assert (shift.column, shift.ratio) == ("shop", 1.5)
    assert shift.shift == "more web (21.0% → 50.9%); less north (79.0% → 49.1%)"
    assert shift.since == ChangeDay(BEGIN - ONE_DAY, BEGIN - ONE_DAY, BEGIN - ONE_DAY)


def test_a_column_within_its_threshold_is_not_explained():
    assert explain_window(make_evidence(), {"shop": ColumnMove(0.9)}).shifts == []


def test_the_loss_has_its_parts_and_the_day_since_when_it_is_higher():
    found = explain_window(make_evidence(), {})
    assert found.loss is not None
    assert found.loss.relation is not None
    assert found.loss.inputs.is_rise
    assert found.loss.relation.amount == pytest.approx(0, abs=1e-3)
    assert found.since is not None
    assert found.since.day == BEGIN - ONE_DAY
    assert found.limits == []


def test_what_alarms_over_more_days_than_the_window_is_explained_over_those():
    found = explain_window(make_evidence(), {"shop": ColumnMove(1.2, 14)}, loss_days=14)
    assert found.shifts[0].shift == "more web (21.0% → 38.0%); less north (79.0% → 62.0%)"
    assert found.loss is not None
    assert (found.loss.labels, found.loss.days) == (1400, 14)
    said = dict(sentences.list_sentences(found))
    assert said["why: shop"].startswith("1.20 times its threshold over the last 14 days, since")
    assert said["why: loss"].startswith("0.6900 over 1,400 labels of the last 14 days, ")


def test_predictions_are_compared_with_the_same_version_s_own_scores_and_days_after_those():
    binning = Binning({}, {"penumbra.prediction": ["no", "yes"]})
    own = days(BEGIN - 7 * ONE_DAY, 20, 22, 20, 22, 20)
    recent = {**own, **days(BEGIN - 2 * ONE_DAY, 50, 52, 50, 52)}
    fitted = days(dt.date(2024, 5, 1), *[80] * 9)
    evidence = WindowEvidence(
        BEGIN, BEGIN + 2 * ONE_DAY, binning, recent, fitted, {}, np.zeros(0), None, own, ("stay", "leave")
    )
    (shift,) = explain_window(evidence, {"penumbra.prediction": ColumnMove(2.0)}).shifts
    assert (shift.column, shift.shift) == ("the predictions", "more yes (20.8% → 51.0%); less no (79.2% → 49.0%)")
    assert shift.since == ChangeDay(BEGIN - 2 * ONE_DAY, BEGIN - 2 * ONE_DAY, BEGIN - 2 * ONE_DAY, is_open=True)


def test_a_slice_is_found_by_its_name():
    risen = DegradedSlice("shop", "web", 350, 1.4, 1.3, 1.5, 1.0)
    found = explain_window(make_evidence(web=1.4), {}, [risen])
    assert found.loss is not None
    (part,) = found.loss.slices
    assert (part.name, part.amount) == ("shop is web", pytest.approx(0.4 * 0.5086, abs=1e-3))


def test_without_labels_what_can_t_be_said_is_said():
    found = explain_window(make_evidence(labelled=False), {})
    assert found.loss is not None
    assert (found.loss.rise, found.since) == (None, None)
    assert found.loss.inputs.is_rise
    assert ["they aren't all due, or too few have arrived" in limit for limit in found.limits] == [True]


def test_without_a_reference_nothing_is_taken_apart():
    bare = WindowEvidence(BEGIN, BEGIN + 2 * ONE_DAY, BINNING, days(BEGIN, 50, 50), {}, {}, np.zeros(0), None)
    found = explain_window(bare, {})
    assert (found.shifts, found.loss) == ([], None)
    assert [limit.split(":")[0] for limit in found.limits] == [
        "No column can be compared",
        "The loss can't be taken apart",
    ]


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (None, "since when can't be told"),
        (ChangeDay(JULY_3, JULY_3, JULY_3), "since 2024-07-03"),
        (
            ChangeDay(JULY_3, JULY_3 - 2 * ONE_DAY, JULY_3 + ONE_DAY),
            "since about 2024-07-03 (2024-07-01 to 2024-07-04)",
        ),
        (
            ChangeDay(JULY_3, JULY_3, JULY_3 + ONE_DAY, is_open=True),
            "since 2024-07-04 or before",
        ),
    ],
)
def test_since_when_in_words(since, said):
    assert sentences.describe_change_day(since) == said


@pytest.mark.parametrize(
    ("inputs", "relation", "said"),
    [
        (PART, NONE, "The rows are of a harder kind, +0.0600 (+0.0200 to +0.1000) (100% of the rise); nothing shows"),
        (
            NONE,
            PART,
            "aren't clearly of a harder kind, +0.0000 (-0.0200 to +0.0200) (0% of the rise); the same rows lose",
        ),
    ],
)
def test_which_part_is_behind_the_rise_is_said(inputs, relation, said):
    loss = LossRise(0.45, 700, PART, inputs, relation, [])
    sentence = sentences.describe_loss_rise(loss, ChangeDay(JULY_3, JULY_3, JULY_3))
    assert sentence.startswith(
        "0.5100 over 700 labels, +0.0600 (+0.0200 to +0.1000) against the 0.4500 of the reference, since 2024-07-03. "
    )
    assert said in sentence


@pytest.mark.parametrize(
    ("rise", "said"), [(NONE, ": not clearly higher."), (LossPart("", -0.06, -0.1, -0.02), ": lower.")]
)
def test_a_rise_that_is_not_clear_is_not_taken_for_one(rise, said):
    assert sentences.describe_loss_rise(LossRise(0.45, 700, rise, NONE, NONE, []), None).endswith(said)


def test_rows_of_the_table_have_shares_of_a_clear_rise_only():
    clear, unclear = (LossRise(0.45, 700, rise, NONE, PART, [PART]) for rise in (PART, NONE))
    assert [(row.depth, row.share) for row in sentences.list_part_rows(clear)] == [
        (0, "100%"),
        (1, "0%"),
        (2, "100%"),
        (1, "100%"),
    ]
    assert {row.share for row in sentences.list_part_rows(unclear)} == {""}


def test_a_loss_that_fell_is_no_rise_in_the_table():
    fallen = LossRise(0.45, 700, LossPart("", -0.06, -0.1, -0.02), NONE, NONE, [])
    first = next(sentences.list_part_rows(fallen))
    assert (first.name, first.amount, first.share) == ("change of the loss", "-0.0600", "")


def test_all_of_it_is_said_by_subject():
    loss = LossRise(0.45, 700, PART, NONE, PART, [], unseen={"shop": 0.25})
    whole = Explanation([ColumnShift("shop", 1.5, "more web", None)], loss, None, ["A limit.", "Another."])
    said = dict(sentences.list_sentences(whole))
    assert said["why: shop"] == "1.50 times its threshold, since when can't be told: more web"
    assert said["why: new values of shop"].startswith("25.0% of the rows have a value")
    assert said["part of the change: change of the relation"] == "+0.0600 (+0.0200 to +0.1000)"
    assert said["why: can't be said"] == "A limit. Another."
