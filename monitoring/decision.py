"""What follows from the evidence: of a candidate, and of a model that was promoted. Each with its reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.evidence import Evidence
from monitoring.guardrails import Fault

NO_GATE = "no verdict of the gate on this version is in the ledger"


@dataclass(frozen=True)
class Decision:
    verdict: Literal["promote", "reject", "keep collecting", "canary", "ok", "investigate"]
    reason: str


def of_candidate(evidence: Evidence, faults: Sequence[Fault], gate: str | None) -> Decision:
    """`gate`: what the gate said of this version before the shadow, None where nothing is known. A fault or a failed
    gate rejects whatever the losses say; what the gate never saw isn't promoted."""
    if faults:
        return Decision("reject", _broken(faults))
    if gate == "fail":
        return Decision("reject", "it failed at the gate")
    if evidence.verdict == "promote" and gate is None:
        return Decision("keep collecting", f"{NO_GATE}, though the evidence says {evidence}")
    return Decision(evidence.verdict, str(evidence))


def before_all(decision: Decision, share: float) -> Decision:
    """A candidate that may become live first answers this share of the keys."""
    if decision.verdict != "promote":
        return decision
    return Decision("canary", f"it answers {share:.0%} of the keys from now on; {decision.reason}")


def of_promotion(evidence: Evidence, faults: Sequence[Fault]) -> Decision:
    """The same test turned round: the previous model stands where live stood, and the promoted one is judged."""
    if faults:
        return Decision("investigate", _broken(faults))
    if evidence.verdict == "reject":
        return Decision("investigate", f"it does worse than the previous model: {evidence}")
    return Decision("ok", str(evidence))


def _broken(faults: Sequence[Fault]) -> str:
    return "; ".join(fault.text for fault in faults)
