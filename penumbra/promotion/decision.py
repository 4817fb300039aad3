"""Decisions on a candidate and on a promoted model, from evidence, guardrails and the gate's verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penumbra.promotion.evidence import Evidence
from penumbra.promotion.guardrails import GuardrailFault

NO_GATE_VERDICT = "no verdict of the gate on this version is in the ledger"


@dataclass(frozen=True)
class PromotionDecision:
    """The decision on a candidate, or on a model that was promoted, and its reason in words.

    Args:
        verdict: What to do.
        reason: Why, in words.
    """

    verdict: Literal["promote", "reject", "keep collecting", "canary", "ok", "investigate"]
    reason: str


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
    if faults:
        return PromotionDecision("reject", _join_faults(faults))
    if gate == "fail":
        return PromotionDecision("reject", "it failed at the gate")
    if evidence.verdict == "promote" and gate is None:
        return PromotionDecision("keep collecting", f"{NO_GATE_VERDICT}, though the evidence says {evidence}")
    return PromotionDecision(evidence.verdict, str(evidence))


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
    return PromotionDecision("canary", f"it answers {share:.0%} of the keys from now on; {decision.reason}")


def review_promotion(evidence: Evidence, faults: Sequence[GuardrailFault]) -> PromotionDecision:
    """Decide on a model that was promoted, by the same test with the previous model in the place of live.

    Args:
        evidence: The evidence, in which the promoted model is the candidate.
        faults: What the guardrails found.

    Returns:
        "investigate" if it is broken or shown to be worse, else "ok", with the reason.
    """
    if faults:
        return PromotionDecision("investigate", _join_faults(faults))
    if evidence.verdict == "reject":
        return PromotionDecision("investigate", f"it does worse than the previous model: {evidence}")
    return PromotionDecision("ok", str(evidence))


def _join_faults(faults: Sequence[GuardrailFault]) -> str:
    return "; ".join(fault.text for fault in faults)
