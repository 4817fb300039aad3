from dataclasses import replace

import pytest

from penumbra.promotion.decision import decide_candidate, review_promotion
from penumbra.promotion.evidence import Evidence
from penumbra.promotion.guardrails import GuardrailFault

MEANS = (0.5, 0.4, 0.1, 0.02, 0.2)
GOOD = Evidence("superiority", "promote", 20, 900, 0, *MEANS, 80.0, 0.01, None, None, "log-loss", 0.5, 0.02)
BAD = replace(GOOD, verdict="reject")
OPEN = replace(GOOD, verdict="keep collecting", days_needed=12)
BROKEN = [GuardrailFault("constant", "its predictions hardly vary"), GuardrailFault("latency", "it is slow")]


@pytest.mark.parametrize("gate", ["pass", "not enough data"])
@pytest.mark.parametrize("evidence", [GOOD, BAD, OPEN])
def test_a_sound_candidate_gets_the_verdict_of_the_evidence(evidence: Evidence, gate: str) -> None:
    decision = decide_candidate(evidence, [], gate)
    assert (decision.verdict, decision.reason) == (evidence.verdict, str(evidence))


def test_an_open_verdict_says_how_many_days_more() -> None:
    assert decide_candidate(OPEN, [], "pass").reason.endswith("about 12 more days")


def test_a_fault_rejects_whatever_the_losses_say() -> None:
    decision = decide_candidate(GOOD, BROKEN, "pass")
    assert (decision.verdict, decision.reason) == ("reject", "its predictions hardly vary; it is slow")


def test_a_failed_gate_rejects_whatever_the_losses_say() -> None:
    assert decide_candidate(GOOD, [], "fail").verdict == "reject"


def test_what_the_gate_never_saw_goes_on_collecting_or_is_rejected() -> None:
    assert [decide_candidate(each, [], None).verdict for each in (GOOD, BAD)] == ["keep collecting", "reject"]


@pytest.mark.parametrize(("evidence", "faults", "verdict"), [
    (GOOD, [], "ok"), (OPEN, [], "ok"), (BAD, [], "investigate"), (GOOD, BROKEN, "investigate"),
])  # fmt: skip
def test_a_promotion_is_investigated_where_the_same_test_would_reject(evidence, faults, verdict) -> None:
    assert review_promotion(evidence, faults).verdict == verdict
