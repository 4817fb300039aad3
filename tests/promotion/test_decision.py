from dataclasses import replace

import pytest

from penumbra.promotion.decision import (
    NO_GATE_VERDICT,
    PromotionDecision,
    decide_canary,
    decide_candidate,
    review_promotion,
)
from penumbra.promotion.evidence import Evidence
from penumbra.promotion.guardrails import GuardrailFault
from penumbra.promotion.reasons import explain_verdict, list_details

MEANS = (0.5, 0.4, 0.1, 0.02, 0.2)
LIMITS = (50.0, 10.0, 7)
GOOD = Evidence("superiority", "promote", 20, 900, 0, *MEANS, 80.0, 0.01, None, None, "log-loss", 0.5, 0.02, *LIMITS)
BAD = replace(GOOD, verdict="reject")
OPEN = replace(GOOD, verdict="keep collecting", days_needed=12)
BROKEN = [GuardrailFault("constant", "its predictions hardly vary"), GuardrailFault("latency", "it is slow")]


@pytest.mark.parametrize("gate", ["pass", "not enough data"])
@pytest.mark.parametrize("evidence", [GOOD, BAD, OPEN])
def test_a_sound_candidate_gets_the_verdict_of_the_evidence(evidence: Evidence, gate: str) -> None:
    decision = decide_candidate(evidence, [], gate)
    assert (decision.verdict, decision.reason) == (evidence.verdict, explain_verdict(evidence))
    assert decision.details == tuple(list_details(evidence))


def test_an_open_verdict_says_how_many_days_more() -> None:
    assert decide_candidate(OPEN, [], "pass").reason.endswith("about 12 more days")


def test_a_fault_rejects_whatever_the_losses_say() -> None:
    decision = decide_candidate(GOOD, BROKEN, "pass")
    assert decision == PromotionDecision("reject", "its predictions hardly vary", ("it is slow",))


def test_a_failed_gate_rejects_whatever_the_losses_say() -> None:
    assert decide_candidate(GOOD, [], "fail").verdict == "reject"


def test_what_the_gate_never_saw_goes_on_collecting_or_is_rejected() -> None:
    unknown, bad = (decide_candidate(each, [], None) for each in (GOOD, BAD))
    assert (unknown.verdict, bad.verdict) == ("keep collecting", "reject")
    assert (unknown.reason, unknown.details[0]) == (NO_GATE_VERDICT, explain_verdict(GOOD))


def test_a_canary_says_first_what_it_answers_and_then_why() -> None:
    decision = decide_canary(decide_candidate(GOOD, [], "pass"), 0.05)
    assert (decision.verdict, decision.reason) == ("canary", "it answers 5% of the keys from now on")
    assert decision.details == (explain_verdict(GOOD), *list_details(GOOD))


@pytest.mark.parametrize(("evidence", "faults", "verdict"), [
    (GOOD, [], "ok"), (OPEN, [], "ok"), (BAD, [], "investigate"), (GOOD, BROKEN, "investigate"),
])  # fmt: skip
def test_a_promotion_is_investigated_where_the_same_test_would_reject(evidence, faults, verdict) -> None:
    assert review_promotion(evidence, faults).verdict == verdict
