"""Detectors of drift and of higher loss, compared on weeks: ours, and those that others use."""

import contextlib
import io
import warnings

import numpy as np

from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, WATCHED_COLUMNS, ShuffledYear
from monitoring.drift.column_drift import compute_drift
from monitoring.losses.loss_threshold import judge_losses
from monitoring.losses.slices import find_degraded_slices
from monitoring.permutation import compute_permutation_limit, count_memory_days
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.metrics.distances import compute_js_distances

SIGMAS = 3
CUSUM_SLACK, CUSUM_LIMIT = 0.5, 4.0  # standard deviations of a week


def judge_by_penumbra(world: ShuffledYear, week: int, one_in: float) -> tuple[bool, bool]:
    """Are drift and loss beyond what they may be? Columns, predictions and loss have a third of the budget each."""
    end = world.days(week)[1]
    recent, before = world.profiles[find_memory_begin(world, week) : end], world.profiles[: world.known]
    found = compute_drift(recent, before, world.binning, 1.5 * one_in, DAYS_PER_WEEK, seed=week)
    return found.ratio > 1, has_high_loss(world, week, one_in)


def find_memory_begin(world: ShuffledYear, week: int) -> int:
    """The first day that is judged together with a `week` of `world`."""
    return max(world.known, world.days(week)[1] - count_memory_days(DAYS_PER_WEEK))


def has_high_loss(world: ShuffledYear, week: int, one_in: float) -> bool:
    """Return whether the loss of a `week` of `world`, or of more of the latest ones, is above its threshold at one
    alarm of any kind in `one_in` weeks."""
    recent, usual = world.loss(find_memory_begin(world, week), world.days(week)[1]), world.loss(0, world.known)
    judged = judge_losses(recent, usual, 3 * one_in, DAYS_PER_WEEK, seed=week)
    return any(each.ratio > 1 for each in judged)


def find_risen_slices(world: ShuffledYear, week: int) -> set[tuple[str, str]]:
    """The slices, column and word, whose loss is called higher than the reference's."""
    first, end = world.days(week)
    rows, losses = world.losses_by_bin
    window, before = (rows[first:end], losses[first:end]), (rows[: world.known], losses[: world.known])
    return {(each.column, each.value) for each in find_degraded_slices(window, before, world.binning, seed=week)}


def judge_by_reference_limits(world: ShuffledYear, one_in: float, seed: int = 0) -> list[bool]:
    """Of each week: is drift beyond a limit from weeks drawn among the reference's days, against the rest of them?"""
    days = _stack_counts(world)
    before, random = days[: world.known], np.random.default_rng(seed)
    drawn = np.argsort(random.random((2000, world.known)), axis=1) < DAYS_PER_WEEK
    total = before.sum(axis=0)
    replays = compute_js_distances(drawn.astype(float) @ before, total, world.binning.starts)
    scale = np.maximum(compute_permutation_limit(replays, one_in), 1e-6)
    far = compute_permutation_limit((replays / scale).max(axis=1), one_in)
    weeks = days[world.known :][: DAYS_PER_WEEK * world.weeks].reshape(world.weeks, DAYS_PER_WEEK, -1).sum(axis=1)
    found = compute_js_distances(weeks, weeks + total, world.binning.starts)
    return [bool(each) for each in (found / scale).max(axis=1) > far]


def judge_by_cusum(world: ShuffledYear) -> list[bool]:
    """Of each week: is a CUSUM of the mean loss beyond its limit, as textbooks set it (Montgomery, *Introduction to
    Statistical Quality Control*, chapter 9)? In standard deviations of a week, which are learnt from the reference, it
    adds up what is above a half, begins anew after an alarm, and would raise one in 336 weeks if the reference's mean
    and deviation were the true ones."""
    usual = world.loss(0, world.known)
    spread = (usual.sums / usual.labels).std(ddof=1) / np.sqrt(DAYS_PER_WEEK)
    found, height = [], 0.0
    for week in range(world.weeks):
        height = max(0.0, height + (world.loss(*world.days(week)).mean - usual.mean) / spread - CUSUM_SLACK)
        found.append(height > CUSUM_LIMIT)
        height = 0.0 if found[-1] else height
    return found


def judge_by_three_sigma(world: ShuffledYear) -> list[tuple[bool, bool]]:
    """Of each week, as NannyML does: is any column's distance from the whole reference, or the loss, beyond the mean of
    the reference's own weeks by three standard deviations?"""
    days, chunks = _stack_counts(world), world.known // DAYS_PER_WEEK
    total = days[: world.known].sum(axis=0)
    weekly = days[: DAYS_PER_WEEK * chunks].reshape(chunks, DAYS_PER_WEEK, -1).sum(axis=1)
    later = days[world.known :][: DAYS_PER_WEEK * world.weeks].reshape(world.weeks, DAYS_PER_WEEK, -1).sum(axis=1)
    usual, now = (compute_js_distances(each, each + total, world.binning.starts) for each in (weekly, later))
    drifted = (now > usual.mean(axis=0) + SIGMAS * usual.std(axis=0)).any(axis=1)
    known = np.array([world.loss(DAYS_PER_WEEK * chunk, DAYS_PER_WEEK * (chunk + 1)).mean for chunk in range(chunks)])
    means = np.array([world.loss(*world.days(week)).mean for week in range(world.weeks)])
    return list(zip(drifted.tolist(), (np.abs(means - known.mean()) > SIGMAS * known.std()).tolist(), strict=True))


def judge_by_evidently(world: ShuffledYear, week: int) -> tuple[bool, bool]:
    """Evidently's preset as it comes: does it call the dataset drifted, and any column of it?"""
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [*WATCHED_COLUMNS, PREDICTION_COLUMN]
    words = list(world.binning.words)
    definition = DataDefinition(numerical_columns=list(world.binning.edges), categorical_columns=words)
    frames = [each.select(names).to_pandas() for each in (world.part(*world.days(week)), world.reference)]
    current, before = (Dataset.from_pandas(each.astype(dict.fromkeys(words, str)), definition) for each in frames)
    with contextlib.redirect_stdout(io.StringIO()):
        run = Report([DataDriftPreset()]).run(current, before).dict()
    drifted = next(each["value"] for each in run["metrics"] if "DriftedColumnsCount" in each["metric_name"])
    return drifted["share"] >= 0.5, drifted["count"] > 0


def _stack_counts(world: ShuffledYear) -> np.ndarray:
    return np.array([day.counts for day in world.profiles], float)
