"""How much groups of the sensitive columns differ in a window, from the outcome sums of its days."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl

from flows.steps.monitor.measures.watched_model import WatchedModel
from monitoring.losses.realised_loss import MIN_BAND_DAYS
from monitoring.windows.window_records import GroupDifference
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.histograms import OutcomeSums
from penumbra.core.metrics.group_metrics import GROUP_SUM_SCHEMA, JUDGED_COMPARISONS
from penumbra.training.evaluation.group_scores import compare_groups


def measure_group_differences(
    days: Sequence[dt.date], outcomes: Sequence[OutcomeSums], model: WatchedModel, fairness_limit: float
) -> list[GroupDifference]:
    """Measure the largest differences between groups in a window.

    Args:
        days: The window's days.
        outcomes: The outcome sums of these days.
        model: The model that answered.
        fairness_limit: The setting `gate.fairness_limit`.

    Returns:
        One for each sensitive column and comparison; none where labels aren't mature, as for the loss, on fewer than
        two days, or where fewer than two groups have rows enough.
    """
    if any(each.due != each.rows for each in outcomes) or sum(bool(each.groups) for each in outcomes) < MIN_BAND_DAYS:
        return []
    sums = _tabulate_sums(days, outcomes)
    judged, limit = JUDGED_COMPARISONS[model.task.kind], fairness_limit * _measure_unit(model)
    found = compare_groups(sums, model.task.kind, in_blocks=False).drop("ratio")
    return [
        GroupDifference(**row, limit=limit if row["comparison"] == judged else None)
        for row in found.iter_rows(named=True)
    ]


def _tabulate_sums(days: Sequence[dt.date], outcomes: Sequence[OutcomeSums]) -> pl.DataFrame:
    rows = [
        (column, group, metric, day, total, count)
        for day, each in zip(days, outcomes, strict=True)
        for column, group, metric, total, count in each.groups
    ]
    names = [name for name in GROUP_SUM_SCHEMA if name not in ("sum", "rows")]
    table = pl.DataFrame(rows, GROUP_SUM_SCHEMA, orient="row")
    return table.group_by(names).agg(pl.col("sum", "rows").sum()).sort(names)


def _measure_unit(model: WatchedModel) -> float:
    """What the limit is a share of: of numbers the mean absolute error of the version's constant on its reference."""
    if model.task.kind != "regression" or "baseline" not in model.facts:
        return 1.0
    return float(np.abs(model.reference[LABEL_COLUMN].cast(pl.Float64).to_numpy() - model.facts["baseline"]).mean())
