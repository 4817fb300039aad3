"""What follows from the evidence: of a candidate, and of a model that was promoted. Each with its reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penumbra.promotion.evidence import Evidence
from penumbra.promotion.guardrails import GuardrailFault

NO_GATE_VERDICT = "no verdict of the gate on this version is in the ledger"


@dataclass(frozen=True)
class PromotionDecision:
    verdict: Literal["promote", "reject", "keep collecting", "canary", "ok", "investigate"]
    reason: str


def decide_candidate(evidence: Evidence, faults: Sequence[GuardrailFault], gate: str | None) -> PromotionDecision:
    """`gate`: what the gate said of this version before the shadow, None where nothing is known. A fault or a failed
    gate rejects whatever the losses say; what the gate never saw isn't promoted."""
    if faults:
        return PromotionDecision("reject", _join_faults(faults))
    if gate == "fail":
        return PromotionDecision("reject", "it failed at the gate")
    if evidence.verdict == "promote" and gate is None:
        return PromotionDecision("keep collecting", f"{NO_GATE_VERDICT}, though the evidence says {evidence}")
    return PromotionDecision(evidence.verdict, str(evidence))


def decide_canary(decision: PromotionDecision, share: float) -> PromotionDecision:
    """A candidate that may become live first answers this share of the keys."""
    if decision.verdict != "promote":
        return decision
    return PromotionDecision("canary", f"it answers {share:.0%} of the keys from now on; {decision.reason}")


def review_promotion(evidence: Evidence, faults: Sequence[GuardrailFault]) -> PromotionDecision:
    """The same test turned round: the previous model stands where live stood, and the promoted one is judged."""
    if faults:
        return PromotionDecision("investigate", _join_faults(faults))
    if evidence.verdict == "reject":
        return PromotionDecision("investigate", f"it does worse than the previous model: {evidence}")
    return PromotionDecision("ok", str(evidence))


def _join_faults(faults: Sequence[GuardrailFault]) -> str:
    return "; ".join(fault.text for fault in faults)
