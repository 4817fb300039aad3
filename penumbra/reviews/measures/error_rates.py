"""How wrong the answers are over all rows, estimated from the rows that people looked at."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl

from penumbra.core.task import Task, TaskKind
from penumbra.core.text.intervals import NO_INTERVAL
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labelled_answers import read_answered_records
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.shadow import read_shadow_outputs
from penumbra.logs.schema import STATUS_OK
from penumbra.reviews.measures.estimates import (
    WeightedEstimate,
    describe_estimate,
    describe_source,
    estimate_mean,
    estimate_rate,
)
from penumbra.reviews.queue import CaseState


def compute_decision_errors(decisions: pl.Series, targets: pl.Series) -> pl.Series:
    """Compute how wrong decisions are.

    Args:
        decisions: Booleans, classes, or numbers.
        targets: What was right, of the same dtype; null where that isn't known.

    Returns:
        Float64: 1 where the decision isn't the target and 0 where it is, or the distance of two numbers; null where the
        target is null.
    """
    if targets.dtype.is_numeric():
        return (decisions - targets).abs().cast(pl.Float64)
    return (decisions != targets).cast(pl.Float64)


def estimate_error(
    errors: pl.Series, probabilities: Sequence[float], deferred: Sequence[bool], kind: TaskKind
) -> WeightedEstimate:
    """Estimate the mean error of all rows that cases were picked from.

    Args:
        errors: Of the cases, as `compute_decision_errors` returns them; null where nobody has answered.
        probabilities: The chance that each case had of being picked, above 0 and at most 1.
        deferred: Whether a rule deferred it to people, so that it is in no draw.
        kind: The task's kind. The error of numbers is their mean distance, that of all others a rate.

    Returns:
        The estimate.
    """
    estimate = estimate_mean if kind == "regression" else estimate_rate
    chances, certain = np.asarray(probabilities, float), np.asarray(deferred, bool)
    return estimate(errors.fill_null(np.nan).to_numpy(), chances, None, certain)


def measure_case_errors(index: LogIndex, states: Sequence[CaseState]) -> WeightedEstimate:
    """Estimate the mean error of all rows that some cases were picked from, by the latest label of each case.

    Args:
        index: The index of predictions and labels, up to date.
        states: All cases of some blocks.

    Returns:
        The estimate; see `estimate_error`.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    cases = _tabulate_cases(states)
    rows = cases.join(join_labels(index, cases["id"].to_list()), on="id", how="left")
    errors = compute_decision_errors(rows["decision"], rows["target"])
    return _estimate_case_errors(errors, rows, index.label_spec.task.kind)


def measure_shadow_errors(
    index: LogIndex, states: Sequence[CaseState], version: str, learnt: dt.date | None = None
) -> tuple[WeightedEstimate, WeightedEstimate]:
    """Estimate the mean errors of a shadow model and of what was served, by the cases that both have decided.

    Rows of which chance decided otherwise are left out: what was served there is no model's mistake.

    Args:
        index: The index of predictions, labels and the shadow's answers, up to date.
        states: Cases.
        version: The shadow model's version.
        learnt: The day up to which it may have learnt from rows, which are left out; None for none.

    Returns:
        The estimates of the shadow model and of the served decisions, over the same rows; see `estimate_error`.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    cases = _tabulate_cases(states)
    explored = [name for name, row in read_answered_records(index, cases["id"].to_list()).items() if row.explored]
    cases = cases.filter(~pl.col("id").is_in(explored))
    said = read_shadow_outputs(index, version, ids=cases["id"].to_list()).filter(status=STATUS_OK)
    rows = said.select("id", shadow=_decode_decision(index.label_spec.task)).join(
        join_labels(index, said["id"].to_list()), on="id"
    )
    rows = rows if learnt is None else rows.filter(pl.col("event").dt.date() > learnt)
    rows, kind = rows.join(cases, on="id"), index.label_spec.task.kind
    served, shadow = (
        _estimate_case_errors(
            compute_decision_errors(rows[name].cast(rows["target"].dtype), rows["target"]), rows, kind
        )
        for name in ("decision", "shadow")
    )
    return shadow, served


def _tabulate_cases(states: Sequence[CaseState]) -> pl.DataFrame:
    cases = [(each.case.prediction, each.case.probability, each.case.picked is not None) for each in states]
    return pl.DataFrame(cases, {"id": pl.String, "chance": pl.Float64, "deferred": pl.Boolean}, orient="row")


def _estimate_case_errors(errors: pl.Series, rows: pl.DataFrame, kind: TaskKind) -> WeightedEstimate:
    return estimate_error(errors, rows["chance"].to_list(), rows["deferred"].to_list(), kind)


def _decode_decision(task: Task) -> pl.Expr:
    """The decision of a shadow's answer, which the index has as text; a number is its own."""
    if task.kind == "regression":
        return pl.col("output").cast(pl.Float64)
    return pl.col("decision") == "1" if task.kind == "binary" else pl.col("decision")


def name_error(kind: TaskKind) -> str:
    """Return the name of the mean error of tasks of this `kind`: "error rate", or "mean error" of numbers."""
    return "mean error" if kind == "regression" else "error rate"


def describe_mean_error(estimate: WeightedEstimate, kind: TaskKind) -> str:
    """Describe an estimated mean error.

    Args:
        estimate: The estimate, by `estimate_error`.
        kind: The task's kind.

    Returns:
        A rate as `describe_estimate` has it; of numbers such as "mean error 12.4 (95 %: 9.8 to 15), from 43 of 50
        picked rows", or "mean error 12.4 (no interval), from 2 of 50 picked rows".
    """
    if kind != "regression" or estimate.answered < 2:
        return describe_estimate(estimate, name_error(kind))
    limits = f"(95 %: {estimate.low:.4g} to {estimate.high:.4g})" if estimate.has_limits else NO_INTERVAL
    return f"{name_error(kind)} {estimate.value:.4g} {limits}, from {describe_source(estimate)}"
