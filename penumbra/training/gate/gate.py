"""The gate before the shadow: decides whether a trained model may be scored in the shadow of the live one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from penumbra.core.columns import DAY_COLUMN, name_loss_column
from penumbra.core.metrics.losses import LossClipping
from penumbra.core.text.json_values import replace_non_finite
from penumbra.core.text.tables import format_significant
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.gate.fairness import GroupSums, check_fairness
from penumbra.training.gate.gate_checks import (
    NOT_ENOUGH_DATA,
    FormComparison,
    GateCheck,
    GateLimits,
    GateVerdict,
    ServingMeasurements,
    check_calibration,
    check_doctor_findings,
    check_served_forms,
    check_serving_budgets,
    skip_check,
)
from penumbra.training.gate.gate_comparisons import (
    NOTHING_CLIPPED,
    ComparisonRule,
    check_loss_difference,
    check_slices,
    list_slice_columns,
)

DOCTOR_NOT_RUN = "the doctor did not run"


@dataclass(frozen=True)
class GateReport:
    """All checks of one model, in the order in which they are printed."""

    checks: list[GateCheck]

    @property
    def overall(self) -> GateVerdict:
        """The verdict on the model: "fail" if any check fails, else "not enough data" if any check lacks data, else
        "pass". Skipped checks don't count: they show up in the report only."""
        verdicts = {check.verdict for check in self.checks}
        return next((verdict for verdict in ("fail", NOT_ENOUGH_DATA) if verdict in verdicts), "pass")

    @property
    def is_servable(self) -> bool:
        """Whether the model answers the same however it is asked; one that doesn't is never registered."""
        return ("forms", "fail") not in {(check.name, check.verdict) for check in self.checks}

    def facts(self) -> dict[str, Any]:
        """Convert the report to plain JSON for the ledger.

        Returns:
            `overall`, and `checks`: a dictionary of the fields of each check, with None for infinite and NaN values.
        """
        return {"overall": self.overall, "checks": [replace_non_finite(asdict(check)) for check in self.checks]}

    def __str__(self) -> str:
        """A table with a line for each check, and the overall verdict in the last line."""
        head = f"{'check':<14}{'measured':>12}{'limit':>12}  {'verdict':<17}"
        return "\n".join([head.rstrip(), *map(_format_check, self.checks), f"gate: {self.overall}"])


def run_gate_checks(
    limits: GateLimits,
    rows: pl.DataFrame,
    rule: ComparisonRule,
    shipped: ServingMeasurements,
    calibration: Interval | None = None,
    findings: Sequence[str] | None = None,
    skipped: Mapping[str, str] | None = None,
    loss: str = "loss",
    single_class: str = "",
    forms: FormComparison | None = None,
    clipping: LossClipping = NOTHING_CLIPPED,
    groups: GroupSums | None = None,
    rule_reason: str = "",
) -> GateReport:
    """Run every check for which there is data.

    Args:
        limits: Section [gate] of the settings.
        rows: One row for each held-out row later than all training rows: `penumbra.day`, the losses of candidate,
            baseline and, where there is one, live (Float64, see `name_loss_column`); every other column names the slice
            that a row belongs to.
        rule: How the candidate is compared with the live model.
        shipped: What was measured of the model that would be served.
        calibration: The candidate's expected calibration error, where the task has one.
        findings: The doctor's findings in words, [] if it found nothing; None if it did not run, which is recorded as
            a skipped check.
        skipped: The reasons, by name of check, for checks that could not be run; each is recorded as skipped. The
            reason for `findings=None` stands under "doctor".
        loss: What the losses are, in words.
        single_class: Says that the rows have one class only; "" if they have several, or are numbers.
        forms: The answers in each form, where they were compared.
        clipping: How many losses were above their ceiling.
        groups: What the models do by group, where the problem has sensitive columns.
        rule_reason: Why `rule` holds, in words, where the recipes' names don't say it.

    Returns:
        The report, with the checks "baseline", "live", "slices", "fairness", "outcomes", "calibration", "forms",
        "latency", "size", "compiled" and "doctor", of which "live", "slices", "fairness", "calibration" and "forms" are
        only there if run or skipped for a reason, and "outcomes" only if there are too few of them.
    """
    reasons = dict(skipped or {})
    doctor_reason = reasons.pop("doctor", DOCTOR_NOT_RUN)
    checks = [check_loss_difference("baseline", rows, "superiority", limits, loss, clipping)]
    if name_loss_column("live") in rows.columns:
        checks.append(check_loss_difference("live", rows, rule, limits, loss, clipping, rule_reason))
    if name_loss_column("live") in rows.columns and list_slice_columns(rows):
        checks.append(check_slices(rows, limits, loss, clipping))
    checks += [check_fairness(groups, limits)] if groups else []
    checks += [skip_check(name, reason) for name, reason in reasons.items()]
    if single_class:
        checks.append(GateCheck("outcomes", 1, 2, NOT_ENOUGH_DATA, single_class))
    if calibration:
        checks.append(check_calibration(calibration, rows[DAY_COLUMN].n_unique(), limits))
    checks += [check_served_forms(forms)] if forms else []
    doctor = skip_check("doctor", doctor_reason) if findings is None else check_doctor_findings(findings)
    return GateReport([*checks, *check_serving_budgets(shipped, limits), doctor])


def _format_check(check: GateCheck) -> str:
    numbers = (f"{format_significant(number):>12}" for number in (check.measured, check.limit))
    return f"{check.name:<14}{''.join(numbers)}  {check.verdict:<17}{check.sentence}"
