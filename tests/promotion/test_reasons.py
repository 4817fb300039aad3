"""What is said of a verdict: first why, in one clause, then what that rests on."""

import math
from dataclasses import replace

import pytest

from penumbra.core.metrics.losses import LossScale
from penumbra.promotion.evidence import Evidence, compute_evidence
from penumbra.promotion.reasons import explain_review, explain_verdict, list_details
from penumbra.promotion.unseen_losses import EarlierDays
from tests.promotion.paired_blocks import GATE, SCALE, TERMS, blocks


def weigh(differences: list[float], rule="superiority", scale: LossScale = SCALE, earlier=GATE) -> Evidence:
    return compute_evidence(blocks(differences), rule, TERMS, scale, earlier)


BETTER, WORSE = "it isn't shown to be better than the live model: ", "it is worse than the live model: "


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (
            weigh([1.0] * 18),
            "it is better than the live model: odds of 1,068 to 1 after 18 days and 1,800 labels, 50 are enough",
        ),
        (weigh([-1.0] * 14), f"{WORSE}odds of 178 to 1 after 14 days and 1,400 labels, 10 are enough"),
        (
            weigh([1.0] * 7, "non-inferiority"),
            "it is no worse than the live model by more than the margin after 7 days and 700 labels, 7 days are enough",
        ),
        (weigh([]), "no day counts yet"),
        (
            weigh([1.0] * 9),
            f"{BETTER}odds of 21.4 to 1 after 9 days and 900 labels, 50 are needed; about 9 more days with 900 labels",
        ),
        (
            weigh([1.0] * 40 + [-40.0]),
            f"{BETTER}odds of 0.712 to 1 by a bet that survives days like the worst after 41 days and 4,100 labels, "
            "50 are needed",
        ),
        (
            weigh([1.0] * 24, earlier=EarlierDays(10)),
            "it is better than the live model after 24 days and 2,400 labels, but was seen on too few days; "
            "about 1 more day with 100 labels",
        ),
        (
            weigh([-1.0] * 4),
            "it looks worse than the live model: odds of 3.3 to 1 after 4 days and 400 labels, 10 reject it; "
            "about 4 more days with 400 labels to a rejection",
        ),
        (
            weigh([1.0] * 6, "non-inferiority"),
            "it is watched for 7 days, of which 6 days with 600 labels are over; about 1 more day with 100 labels",
        ),
        (
            weigh([0.1, -40.0, *[0.1] * 5], "non-inferiority"),
            "it isn't within the margin of the live model after 7 days and 700 labels",
        ),
        (
            weigh([1.0] * 3000),
            "it is better than the live model: odds of more than 1,000,000 to 1 after 3,000 days and 300,000 labels, "
            "50 are enough",
        ),
        (
            compute_evidence(blocks([1.0] * 7), "superiority", TERMS.model_copy(update={"block_days": 7}), SCALE, GATE),
            f"{BETTER}odds of 9.73 to 1 after 49 days in blocks of 7 and 700 labels, 50 are needed; "
            "about 77 more days with 1,100 labels",
        ),
    ],
)
def test_the_reason_says_what_is_shown_or_what_is_missing(evidence: Evidence, reason: str) -> None:
    assert explain_verdict(evidence) == reason


NEAR = replace(weigh([1.0] * 9), days_needed=None)


@pytest.mark.parametrize(
    ("evidence", "odds"),
    [
        (replace(NEAR, better=49.97), "odds of 49.9 to 1"),
        (replace(NEAR, better=999.7, promote_odds=1000.0), "odds of 999 to 1"),
        (replace(NEAR, better=99.98, promote_odds=100.0), "odds of 99.9 to 1"),
        (replace(NEAR, better=50.0, capital=49.97), "odds of 49.9 to 1 by a bet"),
        (replace(NEAR, verdict="promote", better=33.34, promote_odds=1 / 0.03), "odds of 33.4 to 1"),
        (replace(NEAR, difference=-1.0, worse=9.998), "odds of 9.99 to 1"),
        (replace(NEAR, verdict="reject", worse=math.nextafter(10, 11)), "odds of 10 to 1"),
    ],
)
def test_rounding_takes_odds_to_neither_side_of_their_limit(evidence: Evidence, odds: str) -> None:
    assert f": {odds} " in explain_verdict(evidence)


def test_of_a_promoted_model_the_reason_names_the_previous_one() -> None:
    harm = explain_review(weigh([-1.0] * 14, "non-inferiority"))
    assert harm.startswith("it is worse than the previous model: odds of ")
    calm = explain_review(weigh([1.0] * 3, "non-inferiority"))
    assert calm.startswith("it isn't shown to be worse than the previous model: odds of ")
    assert explain_review(weigh([], "non-inferiority")) == "no day counts yet"


def test_before_a_day_counts_there_are_no_details() -> None:
    assert list_details(weigh([])) == []


def test_of_a_new_recipe_loss_odds_and_what_rare_losses_still_take_are_said() -> None:
    assert list_details(weigh([1.0] * 24, earlier=EarlierDays(10))) == [
        "log-loss +0.01 a row in its favour (+0.01 to +0.01)",
        "odds of 17,073 to 1 that it is better, 0.0711 to 1 that it is worse",
        "odds of 212 to 1 by a bet that survives days like the worst",
        "a new recipe has to be seen on 1 more day (promotion.seen_days)",
    ]


def test_a_loss_that_is_higher_is_against_the_candidate() -> None:
    assert list_details(weigh([-1.0] * 14))[0] == "log-loss -0.01 a row against it (no lower limit yet to -0.01)"


def test_a_promotion_says_what_it_cannot_know() -> None:
    assert list_details(weigh([1.0] * 30, earlier=EarlierDays(30, 0.02)))[-1] == (
        "60 days, 30 of them at the gate, can't show what comes on fewer than one day in 20: 0.19 a row worse there "
        "would cancel the gain, the worst day seen was 0.02 worse"
    )


@pytest.mark.parametrize("unit", [1.0, 4000.0])
def test_loss_and_margin_are_in_the_unit_of_the_loss(unit: float) -> None:
    differences = [each * unit for each in [0.1, -4.0, *[0.1] * (TERMS.shadow_days - 2)]]
    said = weigh(differences, "non-inferiority", LossScale("squared error", 0.6 * unit))
    loss, margin, _ = list_details(said)
    assert loss.startswith(f"squared error {said.difference:+.4g} a row against it")
    assert margin == f"the margin is {said.margin:.3g} (0.04 of the baseline's squared error, {0.6 * unit:g})"


def test_models_with_the_same_losses_differ_by_exactly_nothing() -> None:
    assert list_details(weigh([0.0] * 20))[0].endswith("in its favour (+0 to +0)")


@pytest.mark.parametrize("days", [1, 3])
def test_without_an_interval_the_reason_stands_in_its_place(days: int) -> None:
    words = f"of {days} day{'s' * (days > 1)}, too few for an interval at these odds"
    assert list_details(weigh([1.0] * days))[0] == f"log-loss +0.01 a row in its favour ({words})"


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (0.0, "there is no margin, as the baseline's log-loss is 0"),
        (math.nan, "no margin is known, as the baseline's log-loss isn't"),
    ],
)
def test_without_a_baseline_the_margin_is_said_to_be_missing(baseline: float, words: str) -> None:
    said = weigh([-1.0, 1.0] * 5, "non-inferiority", LossScale("log-loss", baseline))
    assert words in list_details(said)
    assert said.verdict == ("keep collecting" if math.isnan(baseline) else "promote")


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (0.0, "there is no margin, as the baseline's log-loss is 0"),
        (math.nan, "no margin is known, as the baseline's log-loss isn't"),
    ],
)
def test_without_a_margin_the_reason_says_why_there_is_none(baseline: float, words: str) -> None:
    said = weigh([0.1, -40.0, *[0.1] * 5], "non-inferiority", LossScale("log-loss", baseline))
    expected = f"it isn't shown to be as good as the live model after 7 days and 700 labels: {words}"
    assert explain_verdict(said) == expected


def test_labels_by_people_and_losses_that_were_capped_are_said_last() -> None:
    said = replace(weigh([1.0] * 3), by_people=12, clipped=0.25, ceiling=4.0)
    people, capped = list_details(said)[-2:]
    assert people == "12 of the labels are by people"
    assert capped.startswith("25.00% of the losses count as the ceiling, 4 (promotion.loss_ceiling): ")
