"""Outcome sums of each day of a window: losses and labels, read once all labels are there, and kept as sums."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial

import numpy as np
import polars as pl
import polars.selectors as cs

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import ONE_DAY, WindowSpan, get_day_start
from flows.steps.prediction_losses import compute_known_losses, extract_predictions, find_known_covered
from monitoring.losses.realised_loss import (
    ArrivedLabels,
    compute_score_edges,
    compute_top_scores,
    sum_by_score_bin,
)
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, GroupSum, OutcomeSums, sum_losses_by_day
from penumbra.core.metrics.group_metrics import compute_group_values, select_groups, sum_by_group
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.append_log import encode_json
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.outcome_sums import OutcomeSumStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import samples
from penumbra.logs.queries.labels import read_answers_with_targets
from penumbra.training.fit import extract_labels

MAX_ROWS_PER_READ = 50_000  # rows of the log
MAX_ROWS_IN_MEMORY = 500_000  # of one day, with their labels
SUMMED_COLUMNS = ("loss", "score", "happened", "covered")
GROUP_PREFIX = "penumbra.group."  # of the columns with what a row adds to the metrics of its groups
OUTCOME_ROW_SCHEMA = {"id": pl.String, "due": pl.Boolean, **dict.fromkeys(SUMMED_COLUMNS, pl.Float64)}


@dataclass(frozen=True)
class OutcomeReader:
    """Reads the outcomes of a window's days.

    Attributes:
        settings: The settings' sections `monitor`, `promotion` and `labels` are read.
        index: The index of predictions and labels.
        model: The model whose answers count.
        binning: The bins of the model's profiles.
        span: The window's days.
    """

    settings: Settings
    index: LogIndex
    model: WatchedModel
    binning: Binning
    span: WindowSpan

    def outcomes(self) -> list[OutcomeSums]:
        """Sum up the outcomes of each day.

        A day's kept sums are used where they were made from the same number of rows, settings, target and bins; else it
        is read anew.

        Returns:
            The sums of each day of the window, in the order of time.
        """
        return [self._kept(day) for day in self.span.days]

    def _kept(self, day: dt.date) -> OutcomeSums:
        kept_sums, cache_key = OutcomeSumStore(self.settings.monitor.folder, self.model.version), self._cache_key(day)
        found = kept_sums.find(day, cache_key)
        if found is None:
            found = self._read(day)
            if found.labels:
                kept_sums.save(day, cache_key, found)
        return found

    def _cache_key(self, day: dt.date) -> str:
        settings = self.settings.promotion
        key_parts = [self.binning, self.span.rows.get(day, 0), settings.loss, self.model.ceiling, settings.coverage]
        key_parts += [self.settings.labels.delay_hours, self.index.label_spec.describe()]
        key_parts += [[field.name for field in fields(OutcomeSums)], self.model.limits]
        key_parts += [f"{name} {each}" for name, each in self.model.problem.schema.SENSITIVE.items()]
        return hashlib.sha256(encode_json(key_parts)).hexdigest()

    def _read(self, day: dt.date) -> OutcomeSums:
        """Sum up a day, which counts where it is over and enough labels are there; in two readings if it is large."""
        read = partial(self._parts, day)
        if self.span.rows.get(day, 0) <= MAX_ROWS_IN_MEMORY:
            kept = list(read())
            read = partial(iter, kept)
        labels = sum(map(ArrivedLabels.count, read()), ArrivedLabels(0, 0, 0, 0))
        counts = day < self.span.now.date() and labels.is_enough(self.settings.promotion.coverage)
        sums = [self._sum_part(part.filter(pl.col("loss").is_finite())) for part in read()] if counts else []
        whole = sum(sums, self._sum_part(pl.DataFrame(schema=OUTCOME_ROW_SCHEMA)))
        return replace(whole, rows=labels.rows, due=labels.due, arrived=labels.arrived)

    def _sum_part(self, counted: pl.DataFrame) -> OutcomeSums:
        """Sum up labelled rows that count, but for the numbers of all rows."""
        counts, sums, groups = _sum_by_bin(self.index, self.model.problem, counted, self.binning, self._answered)
        scores, happened = (counted[name].to_numpy() for name in ("score", "happened"))
        return OutcomeSums(
            rows=0,
            due=0,
            arrived=0,
            labels=counted.height,
            loss=float(counted["loss"].sum()),
            squares=float((counted["loss"] ** 2).sum()),
            counts=counts,
            losses=sums,
            scores=sum_by_score_bin(scores, happened, self._edges),
            clipped=counted.filter(pl.col("loss") >= self.model.ceiling).height,
            groups=groups,
            covered=int(counted["covered"].sum()),
        )

    def _parts(self, day: dt.date) -> Iterator[pl.DataFrame]:
        """Read a day's answers that can have a label, with the columns of `OUTCOME_ROW_SCHEMA`."""
        begin, end = get_day_start(day), get_day_start(day + ONE_DAY)
        yield from map(self._part, read_answers_with_targets(self.index, self.model.version, begin, end))

    def _part(self, answers: pl.DataFrame) -> pl.DataFrame:
        predictions = extract_predictions(self.model.task, answers["output"])
        score, happened = self._score_likeliest(answers["target"], answers["output"])
        columns = {
            "loss": compute_known_losses(
                self.model.task, self.settings.promotion.loss, answers["target"], predictions, self.model.ceiling
            ),
            "score": score,
            "happened": happened,
            **self._compute_group_columns(answers["target"], predictions),
            "covered": find_known_covered(self.model.task, self.model.limits, answers["target"], predictions),
        }
        due = _is_due(self.settings.labels.delay_hours, self.span.now)
        return answers.select("id", due=due).with_columns(
            pl.Series(name, values, pl.Float64) for name, values in columns.items()
        )

    def _compute_group_columns(self, targets: pl.Series, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """What each row adds to the metrics of its groups, by `GROUP_PREFIX` and metric, NaN where it doesn't count;
        nothing without sensitive columns."""
        if not self.model.problem.schema.SENSITIVE:
            return {}
        known = targets.is_not_null().to_numpy()
        task, threshold = self.model.task, float(self.model.facts.get("threshold", np.nan))
        found = compute_group_values(task, extract_labels(targets.drop_nulls(), task), predictions[known], threshold)
        columns = {f"{GROUP_PREFIX}{name}": np.full(len(known), np.nan) for name in found}
        for name, values in found.items():
            columns[f"{GROUP_PREFIX}{name}"][known] = values
        return columns

    def _score_likeliest(self, labels: pl.Series, output: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        known = labels.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
        task = self.model.task
        return compute_top_scores(task, known, extract_predictions(task, output))

    @cached_property
    def _answered(self) -> LogFrameReader:
        return LogFrameReader(self.model.problem.schema)

    @cached_property
    def _edges(self) -> np.ndarray:
        scores, _ = self._score_likeliest(self.model.reference[LABEL_COLUMN], self.model.reference[PREDICTION_COLUMN])
        return compute_score_edges(scores)


def _sum_by_bin(
    index: LogIndex, problem: Problem, counted: pl.DataFrame, binning: Binning, answered: LogFrameReader
) -> tuple[np.ndarray, np.ndarray, list[GroupSum]]:
    """Sum labelled rows and their losses by bin, int64 and float64 [bins], and what they add to the metrics of their
    groups, for the rows that are in the log."""
    rows, sums, groups = np.zeros(binning.size, np.int64), np.zeros(binning.size), list[GroupSum]()
    for part in counted.iter_slices(MAX_ROWS_PER_READ):
        names, requests = samples.read_profile_rows(index.predictions, part["id"].to_list(), answered)
        values = part.select("id", "loss", cs.starts_with(GROUP_PREFIX)).join(
            names.to_frame(), on="id", maintain_order="right"
        )
        found = sum_losses_by_day(requests, binning, DAY_COLUMN, values["loss"].to_numpy())
        rows, sums = rows + found[0].sum(axis=0), sums + found[1].sum(axis=0)
        groups += _sum_by_group(problem, requests, values)
    return rows, sums, groups


def _sum_by_group(problem: Problem, requests: pl.DataFrame, values: pl.DataFrame) -> list[GroupSum]:
    metrics = {
        name.removeprefix(GROUP_PREFIX): values[name].to_numpy() for name in values.columns if GROUP_PREFIX in name
    }
    if not metrics:
        return []
    found = sum_by_group(select_groups(problem.schema, requests), metrics, requests[DAY_COLUMN])
    return [(*names, total, rows) for *names, _, total, rows in found.iter_rows()]


def _is_due(delay_hours: float, now: dt.datetime) -> pl.Expr:
    """Build the expression that says whether a label is due.

    The delay counts from the row's time, or from the answer where that was later. An answer from after the flows' clock
    is a replay, whose labels are due by the row's time alone.
    """
    since = pl.when(pl.col("time") <= now).then(pl.max_horizontal("event", "time")).otherwise("event")
    return since + pl.duration(seconds=delay_hours * 3600) <= now
