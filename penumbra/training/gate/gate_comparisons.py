"""The checks of the gate that compare the candidate with another model on the losses of the same rows.

The comparisons use confidence intervals over days (penumbra/training/evaluation/bootstrap.py), in one of two ways. A
new recipe must be *superior*: certainly better; it fails once it is certain that it is better by less than the margin.
The same recipe on newer data must be *non-inferior*: certainly not worse by more than the margin. Margins are shares of
the baseline's mean loss on these rows.

Source:
    Piaggio et al., "Reporting of noninferiority and equivalence randomized trials", JAMA 2012.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN, RESERVED_PREFIX, name_loss_column
from penumbra.core.metrics.losses import LossClipping, LossScale
from penumbra.core.text.counts import format_count
from penumbra.core.text.intervals import format_signed
from penumbra.core.text.quoting import list_beginning
from penumbra.training.evaluation import bootstrap, slices
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.gate.gate_checks import (
    NOT_ENOUGH_DATA,
    GateCheck,
    GateLimits,
    GateVerdict,
    describe_limit_setting,
)

ComparisonRule = Literal["superiority", "non-inferiority"]
NOTHING_CLIPPED = LossClipping()


def check_loss_difference(
    other: str,
    rows: pl.DataFrame,
    rule: ComparisonRule,
    limits: GateLimits,
    loss: str = "loss",
    clipping: LossClipping = NOTHING_CLIPPED,
    reason: str = "",
) -> GateCheck:
    """Compare the candidate's mean loss with another model's on the same rows.

    Args:
        other: The other model: "baseline" or "live", which names the check.
        rows: `penumbra.day` and the losses (Float64, see `name_loss_column`) of candidate, baseline and other model
            of each row.
        rule: What the candidate has to show.
        limits: `confidence`, `min_days` and `margin_share` are used.
        loss: What the losses are, in words.
        clipping: How many of each model's losses count as the ceiling.
        reason: Why the rule holds, in words; "" where there is no more to say.

    Returns:
        The check of the difference, candidate less other model; where data is lacking with an estimate of how many
        days would do.
    """
    names = (name_loss_column("candidate"), name_loss_column(other), DAY_COLUMN)
    losses, others, days = (rows[name].to_numpy() for name in names)
    difference = bootstrap.compare_paired_losses(losses, others, days, to_two_sided_confidence(limits.confidence))
    count = rows[DAY_COLUMN].n_unique()
    scale = _measure_scale(rows, loss, clipping)
    margin = limits.margin_share * scale.baseline
    limit = 0.0 if rule == "superiority" else margin
    verdict = judge_difference(difference, count, rule, limits, margin)
    more = _estimate_days_needed(difference, limit, count, limits) if verdict == NOT_ENOUGH_DATA else ""
    shown = f"{difference.format_difference()} over {format_count(count, 'day')}"
    wanted = "0" if rule == "superiority" else scale.describe_share(limits.margin_share)
    asked = f"{rule}, for {reason}," if reason else rule
    sentence = f"{loss} less the {other} model's: {shown}; {asked} has the upper limit below {wanted}{more}"
    if verdict == "fail" and rule == "superiority":
        share = scale.describe_share(limits.margin_share)
        sentence += f"; with the lower limit above -{share}, it is shown not to be better by as much"
    sentence += f"; {capped}" if (capped := clipping.describe("candidate", other)) else ""
    return GateCheck(other, difference.value, limit, verdict, sentence, difference.low, difference.high)


def _measure_scale(rows: pl.DataFrame, loss: str, clipping: LossClipping) -> LossScale:
    mean = float(rows[name_loss_column("baseline")].mean())  # type: ignore[arg-type]
    return LossScale(loss, mean, clipping.shares.get("baseline", 0.0))


def _estimate_days_needed(difference: Interval, limit: float, days: int, limits: GateLimits) -> str:
    """Say how many days it would take at this difference and spread: an interval shrinks with the root of the days."""
    if difference.value >= limit or not np.isfinite(difference.high):
        return ""
    ratio = (difference.high - difference.value) / (limit - difference.value)
    return f"; about {max(limits.min_days, np.ceil(days * ratio**2)):.0f} days like these would show it"


def judge_difference(
    difference: Interval, days: int, rule: ComparisonRule, limits: GateLimits, margin: float
) -> GateVerdict:
    """Apply a comparison rule to the interval of a loss difference, where less is better.

    Args:
        difference: The candidate's mean loss less the other model's, with its confidence interval.
        days: Number of days that it was measured over.
        rule: What the candidate has to show.
        limits: `min_days` is used.
        margin: The relevant difference, in the loss's unit.

    Returns:
        The verdict.
    """
    if days < limits.min_days:
        return NOT_ENOUGH_DATA
    if rule == "superiority":
        is_refuted, is_shown = difference.low > -margin, difference.high < 0
    else:
        is_refuted, is_shown = difference.low > margin, difference.high <= margin
    return "pass" if is_shown else "fail" if is_refuted else NOT_ENOUGH_DATA


def check_slices(
    rows: pl.DataFrame, limits: GateLimits, loss: str = "loss", clipping: LossClipping = NOTHING_CLIPPED
) -> GateCheck:
    """Check that no slice's loss is larger than the live model's by more than the margin.

    Args:
        rows: `penumbra.day`, the losses of candidate, baseline and live, and a column for each way of slicing the rows.
        limits: `confidence`, `min_days` and `slice_margin_share` are used. Slices on fewer days are left out.
        loss: What the losses are, in words.
        clipping: How many of each model's losses count as the ceiling.

    Returns:
        The check, measured on the slice that is most certainly worse.
    """
    columns = list_slice_columns(rows)
    scale = _measure_scale(rows, loss, clipping)
    margin = limits.slice_margin_share * scale.baseline
    sums = {name: _sum_by_day(rows.filter(members)) for name, members in slices.find_slice_members(rows, columns)}
    kept = [name for name, by_day in sums.items() if by_day.height >= limits.min_days]
    if not kept:
        sentence = f"none of {format_count(len(sums), 'slice')} has {format_count(limits.min_days, 'day')} of rows"
        return GateCheck("slices", float("nan"), margin, NOT_ENOUGH_DATA, sentence)
    days = rows.select(pl.col(DAY_COLUMN).unique().sort())
    contributions = _compute_contributions([days.join(sums[name], on=DAY_COLUMN, how="left") for name in kept])
    is_harmed, worst = find_harmed_slices(contributions, limits, margin)
    kind = f"of {format_count(len(kept), 'slice')} with {format_count(limits.min_days, 'day')} or more"
    wanted = f"worse than live by more than {scale.describe_share(limits.slice_margin_share)}"
    measured = float(contributions[worst].mean())
    if not is_harmed.any():
        doubtful = f"; {kept[worst]} {format_signed(measured)} may be chance" if measured > margin else ""
        return GateCheck("slices", measured, margin, "pass", f"{kind} none is shown to be {wanted}{doubtful}")
    harmed = [f"{kept[k]} {format_signed(contributions[k].mean())}" for k in np.flatnonzero(is_harmed)]
    sentence = f"{kind} are {wanted}: {list_beginning(harmed)}{describe_limit_setting('gate.slice_margin_share')}"
    return GateCheck("slices", measured, margin, "fail", sentence)


def _sum_by_day(rows: pl.DataFrame) -> pl.DataFrame:
    """Sum the loss differences, candidate less live: `penumbra.day`, `sum` and `rows`."""
    difference = pl.col(name_loss_column("candidate")) - pl.col(name_loss_column("live"))
    return rows.filter(difference.is_not_nan()).group_by(DAY_COLUMN).agg(sum=difference.sum(), rows=pl.len())


def _compute_contributions(slices_by_day: Sequence[pl.DataFrame]) -> np.ndarray:
    """Each day's contribution to the mean difference of slices: float64 [k, days]."""
    sums, rows = (
        np.array([by_day.sort(DAY_COLUMN)[name].fill_null(0).to_numpy() for by_day in slices_by_day], float)
        for name in ("sum", "rows")
    )
    return bootstrap.convert_sums_to_contributions(sums, rows)


def list_slice_columns(rows: pl.DataFrame) -> list[str]:
    """List the columns of a table of losses that are the problem's slices.

    Args:
        rows: The table.

    Returns:
        Their names, in the table's order.
    """
    return [name for name in rows.columns if not name.startswith(RESERVED_PREFIX)]


def find_harmed_slices(contributions: np.ndarray, limits: GateLimits, margin: float) -> tuple[np.ndarray, int]:
    """Find the slices whose mean loss difference is certainly above the margin.

    The confidence holds for all slices together. The tails are Student's: a thousand bootstrap draws don't reach so
    far.

    Args:
        contributions: float64 [k, days], each day's contribution to the mean loss difference of k slices.
        limits: `confidence` is used.
        margin: The relevant difference, in the loss's unit.

    Returns:
        Which slices are harmed, bool [k], and the position of the one that is so most certainly.
    """
    return reject_hypotheses(bootstrap.compute_p_values(contributions, margin), limits.confidence)


def reject_hypotheses(p_values: np.ndarray, confidence: float) -> tuple[np.ndarray, int]:
    """Find the null hypotheses that are rejected beyond doubt, by a confidence that holds for all of them together.

    Args:
        p_values: Their p-values, float64 [k], at least one.
        confidence: The confidence, 0 to 1.

    Returns:
        Which are rejected, bool [k], and the position of the one that is so most certainly.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values, kind="stable")
    is_below = p_values[order] <= (1 - confidence) / np.arange(len(p_values), 0, -1)
    is_rejected = np.zeros(len(p_values), bool)
    is_rejected[order[: len(is_below) if is_below.all() else is_below.argmin()]] = True
    return is_rejected, int(order[0])


def to_two_sided_confidence(confidence: float) -> float:
    """Convert the confidence of each limit of an interval to that of the whole interval.

    Args:
        confidence: The confidence with which each limit alone holds, say 0.975.

    Returns:
        The two-sided confidence, say 0.95.
    """
    return 2 * confidence - 1
