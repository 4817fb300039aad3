"""The gate on tiny frames, and its error rates on simulated days."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from penumbra.core.columns import DAY_COLUMN, name_loss_column
from penumbra.core.metrics.losses import LossClipping
from penumbra.core.settings import load_settings
from penumbra.training.evaluation import bootstrap
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.gate import gate
from penumbra.training.gate.gate_checks import (
    FormComparison,
    ServingMeasurements,
    check_calibration,
    check_serving_budgets,
)
from penumbra.training.gate.gate_comparisons import (
    ComparisonRule,
    check_loss_difference,
    check_slices,
    find_harmed_slices,
    judge_difference,
    to_two_sided_confidence,
)
from tests.helpers.daily_series import simulate_daily_series

BASELINE, MARGIN, SLICE_MARGIN = 0.7, 0.05, 0.1
LIMITS = load_settings(environ={}).gate.model_copy(
    update={
        "min_days": 20, "margin_share": MARGIN / BASELINE, "slice_margin_share": SLICE_MARGIN / BASELINE,
        "calibration": 0.05, "latency_us": 100, "size_mb": 1,
    }
)  # fmt: skip
CANDIDATE_LOSS, BASELINE_LOSS, LIVE_LOSS = map(name_loss_column, ("candidate", "baseline", "live"))
SHIPPED = ServingMeasurements(microseconds=20, size=1000, parity=1e-12, tolerance=1e-9)


def days(candidate: float, live: float | None = 0.5, baseline: float = BASELINE, count: int = 24) -> pl.DataFrame:
    """Two rows a day, one in each of two slices, whose losses go up and down a little from day to day."""
    rows = pl.DataFrame({DAY_COLUMN: np.repeat(np.arange(count), 2), "origin": ["EWR", "JFK"] * count})
    wave = 0.01 * np.sin(np.arange(2 * count))
    losses = {CANDIDATE_LOSS: candidate + wave, BASELINE_LOSS: np.full(2 * count, baseline)}
    return rows.with_columns(**losses, **({} if live is None else {LIVE_LOSS: np.full(2 * count, live)}))


def verdicts(report: gate.GateReport) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


# Comparing two models


@pytest.mark.parametrize(
    ("low", "high", "superiority", "non_inferiority"),
    [
        (-0.30, -0.10, "pass", "pass"),  # better
        (-0.30, 0.04, "not enough data", "pass"),  # perhaps better, not relevantly worse
        (-0.30, 0.20, "not enough data", "not enough data"),  # anything
        (-0.04, 0.04, "fail", "pass"),  # no relevant difference
        (-0.04, 0.20, "fail", "not enough data"),  # no better, perhaps worse
        (0.10, 0.20, "fail", "fail"),  # worse
        (0.00, 0.00, "fail", "pass"),  # the same
    ],
)
def test_a_difference_passes_fails_or_leaves_it_open(low, high, superiority, non_inferiority):
    found = Interval((low + high) / 2, low, high)
    assert judge_difference(found, 30, "superiority", LIMITS, MARGIN) == superiority
    assert judge_difference(found, 30, "non-inferiority", LIMITS, MARGIN) == non_inferiority


@pytest.mark.parametrize(("count", "verdict"), [(19, "not enough data"), (20, "pass")])
def test_too_few_days_are_not_enough_data_however_clear_they_are(count, verdict):
    check = check_loss_difference("live", days(candidate=0.1, count=count), "superiority", LIMITS)
    assert check.verdict == verdict
    assert f"over {count} days" in check.sentence


def test_a_comparison_over_few_days_has_no_interval_and_no_infinity_in_its_words():
    check = check_loss_difference("live", days(candidate=0.1, count=7), "superiority", LIMITS)
    assert "(no interval) over 7 days;" in check.sentence


def test_a_comparison_with_a_baseline_whose_losses_are_capped_says_so_of_both_and_of_the_margin():
    clipping = LossClipping(0.8, {"candidate": 0.0, "baseline": 0.37, "live": 0.02})
    of_baseline, of_live, of_slices = gate.run_gate_checks(
        LIMITS, days(candidate=0.1), "non-inferiority", SHIPPED, clipping=clipping
    ).checks[:3]
    assert of_baseline.sentence.endswith(
        "37.00% of the baseline's losses count as the ceiling, 0.8 (promotion.loss_ceiling)"
    )
    assert "below 0.05 (0.0714 of the baseline's loss, 0.7, capped in 37.00% of the rows)" in of_live.sentence
    assert of_live.sentence.endswith(
        "2.00% of the live model's losses count as the ceiling, 0.8 (promotion.loss_ceiling)"
    )
    assert "capped in 37.00% of the rows" in of_slices.sentence


def test_a_comparison_says_what_was_measured_and_what_is_demanded():
    check = check_loss_difference("live", days(candidate=0.1), "non-inferiority", LIMITS)
    assert (check.measured, check.limit) == (pytest.approx(-0.4, abs=0.01), pytest.approx(0.05))
    assert check.low < check.measured < check.high
    assert "non-inferiority has the upper limit below 0.05" in check.sentence


def test_a_new_recipe_that_fails_though_it_may_be_better_says_by_how_little():
    check = check_loss_difference("live", days(candidate=0.5), "superiority", LIMITS)
    assert check.low < 0 < check.high
    assert check.verdict == "fail"
    assert (
        "with the lower limit above -0.05 (0.0714 of the baseline's loss, 0.7), it is shown not to be" in check.sentence
    )


def noisy(better_by: float) -> pl.DataFrame:
    noise = np.repeat(simulate_daily_series(1, 24, like_the_day_before=0.2)[0], 2)
    return days(candidate=0.5).with_columns(pl.Series(CANDIDATE_LOSS, 0.5 + 0.4 * (noise - noise.mean()) - better_by))


def test_an_open_comparison_says_how_many_days_would_decide_it():
    check = check_loss_difference("live", noisy(better_by=0.05), "superiority", LIMITS)
    needed = np.ceil(24 * ((check.high - check.measured) / 0.05) ** 2)
    assert check.verdict == "not enough data"
    assert f"about {needed:.0f} days like these would show it" in check.sentence


def test_one_that_no_number_of_days_like_these_would_decide_does_not_say_so():
    check = check_loss_difference("live", noisy(better_by=-0.01), "superiority", LIMITS)
    assert (check.verdict, "would show" in check.sentence) == ("not enough data", False)


@pytest.mark.parametrize("unit", [1.0, 1000.0])
@pytest.mark.parametrize("worse_by", [0.0, 0.03, 0.2])
def test_a_verdict_is_the_same_in_every_unit_of_the_loss(unit, worse_by):
    """Losses of 0.5 (log-loss) and of 500 (squared error)."""
    losses = days(candidate=0.5 + worse_by).with_columns(pl.col(CANDIDATE_LOSS, LIVE_LOSS, BASELINE_LOSS) * unit)
    report = gate.run_gate_checks(LIMITS, losses, "non-inferiority", SHIPPED, findings=[], loss="squared error")
    live, harmed = report.checks[1:3]
    assert (live.limit, harmed.limit) == (pytest.approx(MARGIN * unit), pytest.approx(SLICE_MARGIN * unit))
    assert live.verdict == {0.0: "pass", 0.03: "pass", 0.2: "fail"}[worse_by]
    assert f"below {MARGIN * unit:g} (0.0714 of the baseline's squared error, {BASELINE * unit:g})" in live.sentence


# Slices


def test_a_slice_that_is_harmed_is_named_though_the_whole_is_better():
    harmed = days(candidate=0.2).with_columns(pl.col(CANDIDATE_LOSS) + (pl.col("origin") == "JFK") * 0.5)
    check = check_slices(harmed, LIMITS)
    assert (check.verdict, check.measured) == ("fail", pytest.approx(0.2, abs=0.01))
    assert "origin=JFK +0.2" in check.sentence
    assert "EWR" not in check.sentence


def test_a_slice_that_is_worse_within_the_margin_passes():
    check = check_slices(days(candidate=0.55), LIMITS)
    assert check.verdict == "pass"
    assert "of 2 slices with 20 days or more none is shown to be worse than live by more than 0.1" in check.sentence


def test_a_slice_that_is_beyond_the_margin_by_what_may_be_chance_passes_and_is_named():
    noise = np.repeat(np.resize([3.0, -2.6], 24), 2)
    losses = days(candidate=0.5).with_columns(pl.col(CANDIDATE_LOSS) + pl.Series(noise) * (pl.col("origin") == "JFK"))
    check = check_slices(losses, LIMITS)
    assert (check.verdict, check.measured > check.limit) == ("pass", True)
    assert check.sentence.endswith("; origin=JFK +0.2004 may be chance")


def test_a_slice_on_too_few_days_is_left_out():
    rare = days(candidate=0.4).with_columns(
        pl.when(pl.col(DAY_COLUMN) < 5).then(9.0).otherwise(CANDIDATE_LOSS).alias(CANDIDATE_LOSS),
        kind=pl.when(pl.col(DAY_COLUMN) < 5).then(pl.lit("rare")),
    )
    assert "of 2 slices" in check_slices(rare, LIMITS).sentence
    none = check_slices(rare.drop("origin"), LIMITS)
    assert (none.verdict, none.sentence) == ("not enough data", "none of 1 slice has 20 days of rows")


# The whole


def test_a_first_model_is_judged_by_the_baseline_and_the_budgets():
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2, live=None), "superiority", SHIPPED, findings=[])
    assert verdicts(report) == dict.fromkeys(["baseline", "latency", "size", "compiled", "doctor"], "pass")
    assert report.overall == "pass"


def test_where_no_slices_are_named_none_is_judged():
    assert "slices" not in verdicts(
        gate.run_gate_checks(LIMITS, days(candidate=0.2).drop("origin"), "superiority", SHIPPED, findings=[])
    )


def test_a_better_model_passes_every_check():
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2), "superiority", SHIPPED, Interval(0.02, 0.01, 0.06), [])
    assert list(verdicts(report)) == [
        "baseline", "live", "slices", "calibration", "latency", "size", "compiled", "doctor"
    ]  # fmt: skip
    assert report.overall == "pass"


@pytest.mark.parametrize(("difference", "is_servable"), [("", True), ("size is 1 in training and 2 for a list", False)])
def test_a_model_can_be_served_that_answers_the_same_in_every_form(difference, is_servable):
    forms = FormComparison(250, difference)
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2), "superiority", SHIPPED, findings=[], forms=forms)
    assert (report.is_servable, report.overall == "pass") == (is_servable, is_servable)
    assert (difference or "over 250 records") in str(report)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"rows": days(candidate=0.9)}, "baseline"),
        ({"rows": days(candidate=0.6)}, "live"),
        ({"rows": days(candidate=0.7)}, "slices"),
        ({"calibration": Interval(0.09, 0.06, 0.12)}, "calibration"),
        ({"shipped": ServingMeasurements(101, 1000, 0, 1e-9)}, "latency"),
        ({"shipped": ServingMeasurements(20, 1_000_001, 0, 1e-9)}, "size"),
        ({"shipped": ServingMeasurements(20, 1000, 1e-8, 1e-9)}, "compiled"),
        ({"shipped": ServingMeasurements(20, 1000, float("nan"), 1e-9)}, "compiled"),
        ({"findings": ["leakage: air_time"]}, "doctor"),
        ({"forms": FormComparison(250, "size is 1 in training and 2 for a list")}, "forms"),
    ],
)
def test_one_failing_check_fails_the_whole(change, name):
    sound = {"rows": days(candidate=0.2), "rule": "superiority", "shipped": SHIPPED, "findings": []}
    report = gate.run_gate_checks(LIMITS, **(sound | change))
    assert (verdicts(report)[name], report.overall) == ("fail", "fail")


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.05, 0.01, 0.2), "pass"), ((0.06, 0.04, 0.2), "not enough data"), ((0.06, 0.051, 0.2), "fail")],
)
def test_calibration_fails_only_beyond_doubt(interval, verdict):
    assert check_calibration(Interval(*interval), 30, LIMITS).verdict == verdict


def test_one_open_check_leaves_the_whole_open():
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2, count=12), "superiority", SHIPPED, findings=[])
    assert (verdicts(report)["size"], report.overall) == ("pass", "not enough data")


def test_a_model_that_cannot_be_compiled_passes_and_is_told_to_be_slower():
    *_, compiled = check_serving_budgets(ServingMeasurements(20, 1000, None, 1e-9), LIMITS)
    assert compiled.verdict == "pass"
    assert "slower" in compiled.sentence
    assert (np.isnan(compiled.measured), np.isnan(compiled.limit)) == (True, True)


def test_a_check_that_fails_names_the_setting_of_its_limit():
    latency, size, _ = check_serving_budgets(ServingMeasurements(101, 1_000_001, 0, 1e-9), LIMITS)
    calibration = check_calibration(Interval(0.06, 0.051, 0.2), 30, LIMITS)
    harmed = check_slices(days(candidate=0.7), LIMITS)
    named = [check.sentence.partition("; the limit is ")[2] for check in (latency, size, calibration, harmed)]
    settings = ("latency_us", "size_mb", "calibration", "slice_margin_share")
    assert named == [f"gate.{setting} of settings.toml" for setting in settings]


def test_a_model_that_is_too_slow_as_it_cannot_be_compiled_is_told_of_both_ways_on():
    latency, *_ = check_serving_budgets(ServingMeasurements(1208, 1000, None, 1e-9), LIMITS)
    assert latency.sentence == (
        "median microseconds for a single row; the limit is gate.latency_us of settings.toml, "
        "and an estimator that can be compiled answers faster"
    )


def test_a_report_is_a_table_and_plain_json():
    report = gate.run_gate_checks(
        LIMITS, days(candidate=0.2, count=12).drop("origin"), "superiority", SHIPPED, findings=[]
    )
    facts = report.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    head, *lines, last = str(report).splitlines()
    assert head.split() == ["check", "measured", "limit", "verdict"]
    assert [line.split()[0] for line in lines] == [check["name"] for check in facts["checks"]]
    assert last == "gate: not enough data"


def test_a_doctor_that_did_not_run_is_recorded_as_skipped_with_its_reason():
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2), "superiority", SHIPPED, skipped={"doctor": "DOCTOR=off"})
    assert report.facts()["checks"][-1] == {
        "name": "doctor", "measured": None, "limit": None, "verdict": "skipped", "sentence": "DOCTOR=off",
        "low": None, "high": None,
    }  # fmt: skip
    assert str(report).splitlines()[-2:] == [
        "doctor                   -           -  skipped          DOCTOR=off", "gate: pass"
    ]  # fmt: skip


def test_without_findings_or_a_reason_the_doctor_never_passes():
    report = gate.run_gate_checks(LIMITS, days(candidate=0.2), "superiority", SHIPPED)
    assert (report.checks[-1].verdict, report.checks[-1].sentence) == ("skipped", "the doctor did not run")


def test_a_comparison_that_could_not_be_made_is_recorded_where_it_would_stand():
    reasons = dict.fromkeys(("live", "slices"), "version 3 has learnt from all of these rows")
    report = gate.run_gate_checks(
        LIMITS, days(candidate=0.2, live=None), "superiority", SHIPPED, findings=[], skipped=reasons
    )
    assert verdicts(report) == {
        "baseline": "pass", "live": "skipped", "slices": "skipped", "latency": "pass", "size": "pass",
        "compiled": "pass", "doctor": "pass",
    }  # fmt: skip
    assert report.checks[1].sentence == "version 3 has learnt from all of these rows"


@pytest.mark.parametrize(
    ("rows", "overall"),
    [(days(candidate=0.2), "pass"), (days(candidate=0.9), "fail"), (days(candidate=0.2, count=12), "not enough data")],
)
def test_a_skipped_check_leaves_the_verdict_to_the_others(rows, overall):
    assert gate.run_gate_checks(LIMITS, rows, "superiority", SHIPPED).overall == overall


def test_the_settings_hold_the_limits():
    assert (
        gate.run_gate_checks(
            load_settings(environ={}).gate, days(candidate=0.2), "superiority", SHIPPED, findings=[]
        ).overall
        == "pass"
    )


# Error rates, of 1,000 simulations of 30 days, with days that resemble each other and skewed losses


def passes(rule: ComparisonRule, better_by: float, skew: float = 1) -> float:
    """How often a model passes whose loss is lower by so many standard deviations of the daily difference; the margin
    is one of them."""
    limits = SimpleNamespace(min_days=20, confidence=0.95)
    pulls = simulate_daily_series(1000, 30, like_the_day_before=0.2, skew=skew) - better_by
    found = zip(
        pulls.mean(axis=1),
        *bootstrap.compute_confidence_limits(pulls, to_two_sided_confidence(limits.confidence)),
        strict=True,
    )
    return float(np.mean([judge_difference(Interval(*each), 30, rule, limits, 1.0) == "pass" for each in found]))


@pytest.mark.parametrize("skew", [-1, 0, 1])
def test_of_two_equal_models_one_passes_for_superior_in_at_most_5_percent(skew):
    assert passes("superiority", better_by=0, skew=skew) <= 0.05


@pytest.mark.parametrize("skew", [-1, 0, 1])
def test_a_model_worse_by_the_margin_passes_for_non_inferior_in_at_most_5_percent(skew):
    assert passes("non-inferiority", better_by=-1, skew=skew) <= 0.05


def test_a_clearly_better_model_mostly_passes_for_superior_and_an_equal_one_for_non_inferior():
    assert passes("superiority", better_by=1) > 0.9
    assert passes("non-inferiority", better_by=0) > 0.9


def alarms(harm: float, simulations: int) -> float:
    """How often one of 25 slices is alarming beyond no margin at all, with this harm to the first of them. A slice's
    days are half its own and half those of all slices."""
    limits = SimpleNamespace(confidence=0.95)
    noise = simulate_daily_series(simulations * 26, 30, like_the_day_before=0.2, skew=-1).reshape(simulations, 26, 30)
    pulls = (noise[:, :25] + noise[:, 25:]) / np.sqrt(2)
    pulls[:, 0] += harm
    return float(
        np.mean([find_harmed_slices(each, limits, 0.0)[0][0 if harm else slice(None)].any() for each in pulls])
    )


@pytest.mark.slow
def test_equal_models_raise_an_alarm_about_any_slice_in_at_most_5_percent():
    assert alarms(harm=0, simulations=1000) <= 0.05


def test_a_slice_that_is_clearly_harmed_is_mostly_found():
    assert alarms(harm=2, simulations=200) > 0.9


@pytest.mark.slow
def test_daily_losses_of_rows_that_share_their_day_count_once_a_day():
    """900 rows a day with a design effect of about 50: taken one by one they would pass equal models far too often."""
    limits = SimpleNamespace(min_days=20, confidence=0.95)
    rng, wrong = np.random.default_rng(0), 0
    for shared in simulate_daily_series(200, 30, like_the_day_before=0.2):
        losses = np.repeat(shared, 900) * 0.25 + rng.standard_normal(27_000)
        found = bootstrap.compute_mean_interval(
            losses, np.arange(27_000) // 900, to_two_sided_confidence(limits.confidence)
        )
        wrong += judge_difference(found, 30, "superiority", limits, 1.0) == "pass"
    assert wrong / 200 <= 0.05
