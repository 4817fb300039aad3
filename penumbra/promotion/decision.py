"""Decisions on a candidate and on a promoted model, from evidence, guardrails and the gate's verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penumbra.core.text.counts import format_share
from penumbra.promotion.evidence import Evidence
from penumbra.promotion.guardrails import GuardrailFault
from penumbra.promotion.reasons import explain_review, explain_verdict, list_details

Verdict = Literal["promote", "reject", "keep collecting", "canary", "ok", "investigate"]
NO_GATE_VERDICT = "no verdict of the gate on this version is in the ledger"


@dataclass(frozen=True)
class PromotionDecision:
    """The decision on a candidate, or on a model that was promoted, and its reason in words.

    Args:
        verdict: What to do.
        reason: Why, in one clause.
        details: What that rests on and what isn't known, a clause each.
    """

    verdict: Verdict
    reason: str
    details: tuple[str, ...] = ()


def decide_candidate(evidence: Evidence, faults: Sequence[GuardrailFault], gate: str | None) -> PromotionDecision:
    """Decide on a candidate: a fault or a failed gate rejects it whatever the losses say.

    Args:
        evidence: The evidence of paired losses.
        faults: What the guardrails found.
        gate: The gate's verdict on this version before the shadow, None if the ledger has none. A version that the
            gate never judged isn't promoted.

    Returns:
        "promote", "reject" or "keep collecting", with the reason.
    """
    details = tuple(list_details(evidence))
    if faults:
        return _decide_by_faults("reject", faults)
    if gate == "fail":
        return PromotionDecision("reject", "it failed at the gate")
    if evidence.verdict == "promote" and gate is None:
        return PromotionDecision("keep collecting", NO_GATE_VERDICT, (explain_verdict(evidence), *details))
    return PromotionDecision(evidence.verdict, explain_verdict(evidence), details)


def decide_canary(decision: PromotionDecision, share: float) -> PromotionDecision:
    """Turn a promotion into a canary: the candidate first answers a share of the keys.

    Args:
        decision: The decision on the candidate.
        share: The share of keys, from 0 to 1.

    Returns:
        "canary" in the place of "promote"; any other decision unchanged.
    """
    if decision.verdict != "promote":
        return decision
    reason = f"it answers {format_share(share, 0)} of the keys from now on"
    return PromotionDecision("canary", reason, (decision.reason, *decision.details))


def review_promotion(evidence: Evidence, faults: Sequence[GuardrailFault]) -> PromotionDecision:
    """Decide on a model that was promoted, by the same test with the previous model in the place of live.

    Args:
        evidence: The evidence, in which the promoted model is the candidate.
        faults: What the guardrails found.

    Returns:
        "investigate" if it is broken or shown to be worse, else "ok", with the reason.
    """
    if faults:
        return _decide_by_faults("investigate", faults)
    verdict: Verdict = "investigate" if evidence.verdict == "reject" else "ok"
    return PromotionDecision(verdict, explain_review(evidence), tuple(list_details(evidence)))


def _decide_by_faults(verdict: Verdict, faults: Sequence[GuardrailFault]) -> PromotionDecision:
    first, *others = (fault.text for fault in faults)
    return PromotionDecision(verdict, first, tuple(others))
