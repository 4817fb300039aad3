import datetime as dt
import json
import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.metrics.losses import LossScale, compute_clipped_losses
from penumbra.core.task import Task
from penumbra.promotion.day_blocks import sum_losses_by_block
from penumbra.promotion.evidence import compute_e_value_path, compute_evidence
from penumbra.promotion.unseen_losses import EarlierDays
from penumbra.promotion.verdict import compute_verdict
from tests.promotion.paired_blocks import GATE, SCALE, TERMS, blocks

# Verdicts


def test_a_new_recipe_is_promoted_once_it_is_shown_to_be_better():
    said = compute_evidence(blocks([1.0] * 18), "superiority", TERMS, SCALE, GATE)
    assert (said.verdict, said.days, said.labels, said.days_needed) == ("promote", 18, 1800, None)
    assert said.better >= 1 / TERMS.promote_level


@pytest.mark.parametrize("rule", ["superiority", "non-inferiority"])
def test_a_candidate_that_is_shown_to_be_worse_is_rejected_by_either_gate(rule):
    said = compute_evidence(blocks([-1.0] * 14), rule, TERMS, SCALE)
    assert (said.verdict, said.high < 0) == ("reject", True)
    assert said.worse >= 1 / TERMS.harm_level


@pytest.mark.parametrize("rule", ["superiority", "non-inferiority"])
@pytest.mark.parametrize("differences", [[1.0] * 18, [1.0, -1.0] * 9, [-1.0] * 14, [1.0], []])
def test_the_verdict_alone_is_that_of_the_evidence(differences, rule):
    judged = blocks(differences), rule, TERMS, SCALE, GATE
    assert compute_verdict(*judged) == compute_evidence(*judged).verdict


def test_the_same_recipe_on_newer_data_is_promoted_after_the_shadow_days():
    even = ([1.0, -1.0] * TERMS.shadow_days)[: TERMS.shadow_days]
    assert compute_evidence(blocks(even), "non-inferiority", TERMS, SCALE).verdict == "promote"
    assert compute_evidence(blocks(even[:-1]), "non-inferiority", TERMS, SCALE).verdict == "keep collecting"
    assert compute_evidence(blocks(even[:-1]), "non-inferiority", TERMS, SCALE).days_needed == 1


def test_a_new_recipe_that_is_no_better_is_not_promoted_however_long_it_waits():
    said = compute_evidence(blocks([1.0, -1.0] * 200), "superiority", TERMS, SCALE)
    assert (said.verdict, said.days_needed, said.labels_needed) == ("keep collecting", None, None)


def test_the_same_recipe_waits_longer_where_its_mean_loss_is_higher_by_more_than_the_margin():
    differences = [0.1, -40.0, *[0.1] * (TERMS.shadow_days - 2)]
    within, beyond = (
        compute_evidence(
            blocks(differences), "non-inferiority", TERMS.model_copy(update={"margin_share": margin}), SCALE
        )
        for margin in (0.06, 0.02)
    )
    assert (within.verdict, beyond.verdict, beyond.days_needed) == ("promote", "keep collecting", None)


def test_while_collecting_the_forecast_is_in_days_and_in_labels():
    said = compute_evidence(blocks([1.0] * 9), "superiority", TERMS, SCALE, GATE)
    assert (said.verdict, said.days_needed, said.labels_needed) == ("keep collecting", 9, 900)


def test_losses_are_means_per_row_with_an_interval_about_their_difference():
    said = compute_evidence(blocks([1.0, 3.0] * 10), "superiority", TERMS, SCALE)
    assert (said.live_loss, said.candidate_loss, said.difference) == pytest.approx((0.5, 0.48, 0.02))
    assert 0 < said.low < 0.02 < said.high


def test_before_the_first_block_nothing_is_said():
    said = compute_evidence(blocks([]), "superiority", TERMS, SCALE)
    assert (said.verdict, said.better, said.worse, said.difference, said.low) == ("keep collecting", 1, 1, None, None)


def test_a_new_recipe_is_promoted_once_it_was_seen_on_enough_days_those_at_the_gate_included():
    def weigh(days, earlier):
        return compute_evidence(blocks([1.0] * days), "superiority", TERMS, SCALE, EarlierDays(earlier))

    assert [weigh(days, 10).verdict for days in (24, 25)] == ["keep collecting", "promote"]
    waiting = weigh(24, 10)
    assert (waiting.seen_days_needed, waiting.days_needed) == (1, 1)
    assert weigh(25, 0).days_needed == TERMS.seen_days - 25


def test_a_gain_that_one_day_has_cancelled_is_no_gain_however_small_it_looks_among_the_others():
    said = compute_evidence(blocks([1.0] * 40 + [-40.0]), "superiority", TERMS, SCALE, GATE)
    assert (said.verdict, said.better >= 1 / TERMS.promote_level, said.capital < 1) == ("keep collecting", True, True)


def test_a_storm_at_the_gate_makes_a_new_recipe_wait_longer():
    calm, storm = (
        compute_evidence(blocks([1.0] * 20), "superiority", TERMS, SCALE, EarlierDays(60, worst)) for worst in (0, 0.2)
    )
    assert (calm.verdict, storm.verdict) == ("promote", "keep collecting")
    assert storm.capital < calm.capital
    assert storm.days_needed > 0


def test_a_promotion_has_a_lower_limit_above_0_however_small_the_spread_beside_the_worst_day_at_the_gate():
    said = compute_evidence(blocks([1.0] * 30), "superiority", TERMS, SCALE, EarlierDays(30, 0.02))
    assert (said.verdict, 0 < said.low < 0.01) == ("promote", True)


@pytest.mark.parametrize("worst", [math.nan, math.inf])
def test_what_is_no_number_shows_no_gain(worst):
    said = compute_evidence(blocks([1.0] * 40), "superiority", TERMS, SCALE, EarlierDays(60, worst))
    assert (said.verdict, said.days_needed) == ("keep collecting", None)
    assert said.better >= 1 / TERMS.promote_level
    assert compute_evidence(blocks([1.0] * 40), "superiority", TERMS, SCALE, GATE).verdict == "promote"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("sign", "verdict"), [(1, "promote"), (-1, "reject")])
def test_losses_whose_squares_no_float_holds_are_decided_like_others(sign, verdict):
    said = compute_evidence(blocks([sign * 1e200] * 40), "superiority", TERMS, SCALE, GATE)
    assert (said.verdict, said.low is not None, said.high is not None) == (verdict, True, True)


def test_incomplete_blocks_are_counted_and_count_for_nothing():
    mixed = pl.concat([blocks([1.0, 2.0, -1.0]), blocks([-9.0] * 50, complete=False)])
    said = compute_evidence(mixed, "superiority", TERMS, SCALE)
    assert said.incomplete_blocks == 50
    assert (said.days, said.better, said.worse) == (3, *compute_e_value_path(mixed).row(-1)[1:])


def test_the_verdict_is_the_same_in_every_unit_of_the_loss():
    differences = [0.1, -4.0, *[0.1] * (TERMS.shadow_days - 2)]
    for unit in (1.0, 4000.0):
        frame = blocks(differences).with_columns(pl.col("difference", "live", "candidate") * unit)
        said = compute_evidence(frame, "non-inferiority", TERMS, LossScale("squared error", 0.6 * unit))
        assert (said.verdict, said.margin) == ("promote", pytest.approx(0.6 * unit * TERMS.margin_share))


@pytest.mark.slow
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_seen_from_the_other_side_better_is_worse(differences):
    ours, theirs = (
        compute_evidence(blocks([sign * d for d in differences]), "superiority", TERMS, SCALE) for sign in (1, -1)
    )
    assert (ours.better, ours.worse) == pytest.approx((theirs.worse, theirs.better))


@pytest.mark.slow
@given(st.lists(st.floats(-5, 5), max_size=20), st.randoms())
def test_the_order_of_the_frame_makes_no_difference(differences, random):
    frame = blocks(differences)
    shuffled = frame[random.sample(range(frame.height), frame.height)]
    assert compute_evidence(shuffled, "superiority", TERMS, SCALE) == compute_evidence(
        frame, "superiority", TERMS, SCALE
    )


def test_the_course_has_the_evidence_after_each_block():
    grown = compute_e_value_path(blocks([1.0] * 12))
    assert grown.columns == ["first", "better", "worse"]
    assert grown["better"].to_list()[-1] == compute_evidence(blocks([1.0] * 12), "superiority", TERMS, SCALE).better


def test_evidence_goes_into_a_ledger_as_plain_json():
    for differences in ([], [1.0], [1.0] * 3000):
        kept = asdict(compute_evidence(blocks(differences), "superiority", TERMS, SCALE))
        assert json.loads(json.dumps(kept, allow_nan=False)) == kept


# Cohorts


def rows(*days, live=0.5, candidate=0.4, mature=True):
    return pl.DataFrame(
        {
            "time": [dt.datetime(2013, 4, day, 12, tzinfo=dt.UTC) for day in days],
            "loss_live": pl.Series([live] * len(days), dtype=pl.Float64),
            "loss_candidate": pl.Series([candidate] * len(days), dtype=pl.Float64),
            "mature": [mature] * len(days),
        }
    )


def by_block(*frames, until=30, block_days=1, coverage=0.75):
    return sum_losses_by_block(
        pl.concat(frames), dt.date(2013, 4, until), SimpleNamespace(block_days=block_days, coverage=coverage)
    )


def test_losses_are_summed_by_day():
    (day,) = by_block(rows(3, 3, 3), rows(3, candidate=0.7)).rows(named=True)
    assert (day["first"], day["rows"], day["labels"], day["complete"]) == (dt.date(2013, 4, 3), 4, 4, True)
    assert (day["live"], day["candidate"], day["difference"]) == pytest.approx((2.0, 1.9, 0.1))


def test_a_day_with_one_row_whose_label_is_not_due_is_incomplete():
    found = by_block(rows(3, 3, 3, 4), rows(3, mature=False))
    assert found["complete"].to_list() == [False, True]


def test_a_day_that_is_not_over_is_incomplete():
    assert by_block(rows(3, 4), until=4)["complete"].to_list() == [True, False]


@pytest.mark.parametrize(("missing", "complete"), [(1, True), (2, False)])
@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_day_needs_its_share_of_rows_with_both_losses(missing, complete, nothing):
    (day,) = by_block(rows(*[3] * (4 - missing)), rows(*[3] * missing, candidate=nothing)).rows(named=True)
    assert (day["complete"], day["labels"], day["live"]) == (complete, 4 - missing, pytest.approx(0.5 * (4 - missing)))


def test_a_block_of_two_days_is_complete_when_both_are():
    """Counted from 1970, the 3rd and the 4th of April 2013 are one block."""
    found = by_block(rows(3, 4, 5), rows(6, mature=False), block_days=2)
    assert found.select("first", "complete").rows() == [(dt.date(2013, 4, 3), True), (dt.date(2013, 4, 5), False)]
    assert by_block(rows(3), until=4, block_days=2)["complete"].to_list() == [False]


@given(st.lists(st.integers(1, 28), min_size=1, max_size=40), st.integers(1, 28), st.integers(1, 7))
def test_what_a_complete_block_says_does_not_change_when_more_days_arrive(days, cut, size):
    whole = by_block(rows(*days), block_days=size).filter(pl.col("first") < dt.date(2013, 4, 28))
    before = [day for day in days if day < cut]
    early = by_block(rows(*before), until=cut, block_days=size).filter("complete") if before else whole.clear()
    assert early.join(whole, on=whole.columns).height == early.height


# Losses


def test_losses_of_a_yes_or_no_are_those_computed_by_hand():
    labels, predictions = np.array([True, False]), np.array([0.25, 0.5])
    np.testing.assert_allclose(
        compute_clipped_losses(Task("binary"), labels, predictions, "log_loss", 9), np.log([4, 2])
    )
    np.testing.assert_allclose(compute_clipped_losses(Task("binary"), labels, predictions, "brier", 9), [0.5625, 0.25])


def test_losses_of_several_classes_are_those_computed_by_hand():
    labels, predictions = np.array([0, 2]), np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25]])
    task = Task("multiclass", ("a", "b", "c"))
    np.testing.assert_allclose(compute_clipped_losses(task, labels, predictions, "log_loss", 9), np.log([2, 4]))
    np.testing.assert_allclose(compute_clipped_losses(task, labels, predictions, "brier", 9), [0.5, 0.875])


@pytest.mark.parametrize("task", [Task("binary"), Task("regression")])
def test_no_row_counts_more_than_the_ceiling_and_nan_stays_nan(task):
    labels = np.array([1, 1, 1]).astype(bool if task.kind == "binary" else float)
    got = compute_clipped_losses(
        task, labels, np.array([-40.0 if task.kind == "regression" else 0.0, 1.0, np.nan]), "auto", 3
    )
    np.testing.assert_allclose(got, [3, 0, np.nan], atol=1e-12)
