"""The gate before the shadow: may this model stand beside the live one? Every check is pass, fail, or not enough data.

Two models are compared on the losses of the same rows, by intervals over days (penumbra/training/bootstrap.py), in one of two
ways. A new recipe must be *superior*: better for certain; that it isn't is certain once it is better by less than the
margin. The same recipe on newer data must be *non-inferior*: for certain not worse by more than the margin (Piaggio et
al., "Reporting of noninferiority and equivalence randomized trials", JAMA 2012).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from penumbra.training import bootstrap, slices
from penumbra.training.bootstrap import Interval

GateVerdict = Literal["pass", "fail", "not enough data"]
ComparisonRule = Literal["superiority", "non-inferiority"]
NOT_ENOUGH_DATA: GateVerdict = "not enough data"
NON_SLICE_COLUMNS = frozenset({"day", "label", "candidate", "baseline", "live"})


class GateLimits(Protocol):
    """Section [gate] of the settings says what these are."""

    confidence: float
    min_days: int
    margin: float
    slice_margin: float
    calibration: float
    latency_us: float
    size_mb: float


@dataclass(frozen=True)
class ServingMeasurements:
    """What is known of the model that would be served: the median time for a row in microseconds, its size in bytes,
    and by how much it differs from the fitted one and may; None where it couldn't be compiled."""

    microseconds: float
    size: int
    parity: float | None
    tolerance: float


@dataclass(frozen=True)
class GateCheck:
    """A measured value, with the limits of its interval where it has one, beside what is demanded of it."""

    name: str
    measured: float
    limit: float
    verdict: GateVerdict
    sentence: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class GateReport:
    checks: list[GateCheck]

    @property
    def overall(self) -> GateVerdict:
        """Any failure fails; else any doubt leaves it open."""
        verdicts = {check.verdict for check in self.checks}
        return next((each for each in ("fail", NOT_ENOUGH_DATA) if each in verdicts), "pass")

    def facts(self) -> dict[str, Any]:
        """Plain JSON, for the ledger."""
        return {"overall": self.overall, "checks": [_replace_non_finite(asdict(check)) for check in self.checks]}

    def __str__(self) -> str:
        head = f"{'check':<14}{'measured':>12}{'limit':>12}  {'verdict':<17}"
        lines = [f"{c.name:<14}{c.measured:>12.4g}{c.limit:>12.4g}  {c.verdict:<17}{c.sentence}" for c in self.checks]
        return "\n".join([head.rstrip(), *lines, f"gate: {self.overall}"])


def run_gate_checks(
    limits: GateLimits,
    rows: pl.DataFrame,
    rule: ComparisonRule,
    shipped: ServingMeasurements,
    calibration: Interval | None = None,
    findings: Sequence[str] = (),
) -> GateReport:
    """Every check there is something to check by. `rows` are held-out rows later than all that was learnt from: their
    `day`, the losses of `candidate`, `baseline` and, where there is a live model, `live`; every further column but
    `label` names the slice that a row belongs to. `calibration`: the candidate's error, where the task has one.
    `findings`: what the doctor found."""
    checks = [check_loss_difference("baseline", rows, "superiority", limits)]
    if "live" in rows.columns:
        checks.append(check_loss_difference("live", rows, rule, limits))
    if "live" in rows.columns and not NON_SLICE_COLUMNS.issuperset(rows.columns):
        checks.append(check_slices(rows, limits))
    if calibration:
        checks.append(check_calibration(calibration, rows["day"].n_unique(), limits))
    return GateReport([*checks, *check_serving_budgets(shipped, limits), _check_doctor_findings(findings)])


def check_loss_difference(other: str, rows: pl.DataFrame, rule: ComparisonRule, limits: GateLimits) -> GateCheck:
    """The candidate's mean loss less another model's, over the days of the same rows."""
    losses, others, days = (rows[name].to_numpy() for name in ("candidate", other, "day"))
    found = bootstrap.compare_paired_losses(losses, others, days, to_two_sided_confidence(limits.confidence))
    count = rows["day"].n_unique()
    limit = 0.0 if rule == "superiority" else limits.margin
    verdict = judge_difference(found, count, rule, limits)
    more = _estimate_days_needed(found, limit, count, limits) if verdict == NOT_ENOUGH_DATA else ""
    shown = f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] over {count} days"
    sentence = f"loss less the {other} model's: {shown}; {rule} has the upper limit below {limit:g}{more}"
    return GateCheck(other, found.value, limit, verdict, sentence, found.low, found.high)


def _estimate_days_needed(found: Interval, limit: float, days: int, limits: GateLimits) -> str:
    """How many days it would take at this difference and spread; an interval shrinks with the root of the days."""
    if found.value >= limit or not np.isfinite(found.high):
        return ""
    needed = max(limits.min_days, np.ceil(days * ((found.high - found.value) / (limit - found.value)) ** 2))
    return f"; about {needed:.0f} days like these would show it"


def judge_difference(difference: Interval, days: int, rule: ComparisonRule, limits: GateLimits) -> GateVerdict:
    """What an interval of a loss difference, less is better, says of the rule."""
    if days < limits.min_days:
        return NOT_ENOUGH_DATA
    if rule == "superiority":
        refuted, kept = difference.low > -limits.margin, difference.high < 0
    else:
        refuted, kept = difference.low > limits.margin, difference.high <= limits.margin
    return "pass" if kept else "fail" if refuted else NOT_ENOUGH_DATA


def check_slices(rows: pl.DataFrame, limits: GateLimits) -> GateCheck:
    """Fails where some slice's loss is larger than the live model's by more than the margin, at the settings'
    confidence over all slices together (Holm, "A simple sequentially rejective multiple test procedure", 1979). The
    tails are Student's: a thousand draws don't reach so far."""
    names, belongs = slices.find_slice_members(rows, [name for name in rows.columns if name not in NON_SLICE_COLUMNS])
    days = rows["day"].to_numpy()
    enough = slices.count_slice_days(belongs, days) >= limits.min_days
    if not enough.any():
        sentence = f"none of {len(names)} slices has {limits.min_days} days of rows"
        return GateCheck("slices", float("nan"), limits.slice_margin, NOT_ENOUGH_DATA, sentence)
    differences = np.where(belongs[enough], (rows["candidate"] - rows["live"]).to_numpy(), np.nan)
    pulls = bootstrap.compute_day_contributions(differences, days)
    worse, worst = find_harmed_slices(pulls, limits)
    kept = [name for name, ok in zip(names, enough, strict=True) if ok]
    named = ", ".join(f"{kept[k]} {pulls[k].mean():+.4f}" for k in np.flatnonzero(worse)) or "none"
    sentence = f"of {len(kept)} slices with {limits.min_days} days or more are worse than live: {named}"
    measured = float(pulls[worst].mean())
    return GateCheck("slices", measured, limits.slice_margin, "fail" if worse.any() else "pass", sentence)


def find_harmed_slices(pulls: np.ndarray, limits: GateLimits) -> tuple[np.ndarray, int]:
    """Which of k slices' mean loss differences, by their pulls [k, days], are beyond the margin for certain: bool [k];
    and which is so most certainly."""
    chances = bootstrap.compute_p_values(pulls, limits.slice_margin)
    order = np.argsort(chances)
    below = chances[order] <= (1 - limits.confidence) / np.arange(len(chances), 0, -1)
    worse = np.zeros(len(chances), bool)
    worse[order[: len(below) if below.all() else below.argmin()]] = True
    return worse, int(order[0])


def check_calibration(error: Interval, days: int, limits: GateLimits) -> GateCheck:
    """Passes up to the limit, fails where the interval lies beyond it."""
    verdict: GateVerdict = "pass" if error.value <= limits.calibration else NOT_ENOUGH_DATA
    if error.low > limits.calibration:
        verdict = "fail"
    sentence = f"expected calibration error {error} over {days} days"
    verdict = NOT_ENOUGH_DATA if days < limits.min_days else verdict
    return GateCheck("calibration", error.value, limits.calibration, verdict, sentence, error.low, error.high)


def check_serving_budgets(shipped: ServingMeasurements, limits: GateLimits) -> list[GateCheck]:
    """Time and size of what would be served, and whether it is what was fitted."""
    size = shipped.size / 1e6
    if shipped.parity is None:
        same = GateCheck(
            "compiled", 0.0, shipped.tolerance, "pass", "can't be compiled: the fitted model answers, slower"
        )
    else:
        sentence = "largest difference between compiled and fitted"
        same = GateCheck(
            "compiled", shipped.parity, shipped.tolerance, _judge_limit(shipped.parity, shipped.tolerance), sentence
        )
    slow = _judge_limit(shipped.microseconds, limits.latency_us)
    return [
        GateCheck("latency", shipped.microseconds, limits.latency_us, slow, "median microseconds for a single row"),
        GateCheck("size", size, limits.size_mb, _judge_limit(size, limits.size_mb), "megabytes"),
        same,
    ]


def to_two_sided_confidence(confidence: float) -> float:
    """The two-sided confidence of an interval each limit of which holds with this one."""
    return 2 * confidence - 1


def _check_doctor_findings(findings: Sequence[str]) -> GateCheck:
    verdict: GateVerdict = "fail" if findings else "pass"
    return GateCheck(
        "doctor", len(findings), 0, verdict, "; ".join(findings) or "nothing found in data, contract, features"
    )


def _judge_limit(measured: float, limit: float) -> GateVerdict:
    return "pass" if measured <= limit else "fail"


def _replace_non_finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Infinity and NaN aren't JSON."""
    return {key: None if isinstance(each, float) and not np.isfinite(each) else each for key, each in facts.items()}
