"""The flywheel batches that are due: made of the logs, checked by the contract, and admitted like any batch."""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from flows.steps.flywheel.batch_rows import (
    SortedAnswers,
    build_batch_rows,
    count_by,
    extract_outcomes,
    read_known_outcomes,
    sort_answers,
)
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from penumbra.core.columns import (
    DAY_COLUMN,
    ID_COLUMN,
    LABEL_COLUMN,
    LOSS_COLUMN,
    MODEL_COLUMN,
    ORIGIN_COLUMN,
    WEIGHT_COLUMN,
)
from penumbra.core.metrics.losses import build_judged_task
from penumbra.core.problem import Problem, build_utc_date
from penumbra.core.settings import FlywheelPeriod, Settings
from penumbra.core.text.counts import format_count
from penumbra.data.batches import DataStore
from penumbra.data.failure_set import FailureSet
from penumbra.data.flywheel import encode_flywheel_files
from penumbra.data.flywheel_manifest import FlywheelManifest, describe_manifest, name_flywheel_batch, read_period_end
from penumbra.data.partitions.partition_code import STORED_PARTS
from penumbra.data.source_reader import BatchRefused, list_source_batches
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import labelled_answers
from penumbra.logs.queries.labelled_answers import LabelledAnswer
from penumbra.logs.queries.lookup import find_shared_keys
from penumbra.logs.queries.samples import to_day_timestamp
from penumbra.reviews.queue import ReviewQueue
from penumbra.storage.cache import JSON, FileCache
from penumbra.training.fit import select_labelled_rows
from penumbra.training.split import select_worst_failures

FED_PARTS = (*STORED_PARTS, "rules")  # of a problem
ONCE = "once"  # the option that asks for one batch of all that is labelled and mature


def feed_back_labels(settings: Settings, read_problem: Callable[[], Problem], wanted: str = "") -> list[str]:
    """Make the batches that are due out of the logs, and admit them.

    Args:
        settings: Sections [data], [service], [labels], [review] (`folder`), [flywheel], [training] (`failures`) and
            [promotion] (`loss`) are read.
        read_problem: Loads the problem with `FED_PARTS`; called only where batches may be due.
        wanted: "once" for one batch until the last day whose labels are mature; "" for a batch of each period that is
            over, as `flywheel.period` has them.

    Returns:
        A line for each batch, or why there is none.

    Raises:
        SettingsError: `promotion.loss` is no loss of the task.
        ProblemError: The folder `problem/` is wrong.
        SourceFailed: The source can't name its batches.
        BatchRefused: A batch that was made before isn't what was admitted.
        OSError: A batch can't be written.
    """
    if not (wanted or settings.flywheel.period):
        return []
    problem = read_problem()
    if not problem.schema.Row.primary_key():
        return ["no flywheel batch: Row of problem/schema.py has no primary key to tell its rows from the source's by"]
    index = LogIndex.of_all_replicas(settings, problem.schema)
    store = DataStore(settings.data, problem)
    ends = list_due_ends(settings, index, store, wanted == ONCE)
    known = read_known_outcomes(store) if ends else {}
    lines = [line for end in ends if (line := _make_batch(settings, problem, store, index, end, known))]
    return lines or ([_explain_missing_batch(settings, index, store)] if wanted else [])


def list_due_ends(settings: Settings, index: LogIndex, store: DataStore, is_once: bool = False) -> list[dt.date]:
    """List the days at which the periods end that batches are to be made of.

    A period is over once the labels of its last row are mature. What is labelled later goes into the next batch.

    Args:
        settings: Sections [data] (`today`), [labels] (`delay_hours`) and [flywheel] (`period`) are read.
        index: The index of the logs.
        store: The data store, with the batches that were made before.
        is_once: Whether there is one period only, until the last day whose labels are mature.

    Returns:
        The days, ascending; all after the period of the last batch.
    """
    mature, since = settings.data.today - _get_delay(settings), _find_unused_day(index, store)
    if since is None or since >= mature:
        return []
    return [mature] if is_once else list(_list_period_ends(settings.flywheel.period, since, mature))


def _get_delay(settings: Settings) -> dt.timedelta:
    """The whole days after which the labels of a day's rows are mature."""
    return dt.timedelta(days=math.ceil(settings.labels.delay_hours / 24))


def _find_unused_day(index: LogIndex, store: DataStore) -> dt.date | None:
    """The first day whose rows are in no batch; None without a prediction."""
    made = store.flywheel_batches()
    return read_period_end(made[-1]) if made else labelled_answers.find_first_answer_day(index)


def _explain_missing_batch(settings: Settings, index: LogIndex, store: DataStore) -> str:
    """Why there is no batch, and when there may be one; the clock is named where it is behind the rows."""
    today, since = settings.data.today, _find_unused_day(index, store)
    answered = labelled_answers.count_answered_rows(index, None, dt.date.max)
    later = labelled_answers.count_answered_rows(index, today, dt.date.max)
    labelled = labelled_answers.count_labelled_rows(index)
    said = [
        "no flywheel batch: no answered row has a label that is mature and new",
        f" on data.today = {today}; {format_count(later, 'row was', 'rows were')} answered since then" if later else "",
        f"; of {format_count(answered, 'answered row')} {format_count(labelled, 'is', 'are')} labelled",
    ]
    if since and since >= today - _get_delay(settings):
        first = dt.date.fromordinal(min(since.toordinal() + 1 + _get_delay(settings).days, dt.date.max.toordinal()))
        said.append(f", those of {since} are mature from {first} on (labels.delay_hours)")
    elif since:
        said.append(", those that are mature are the source's, in a batch already, or of people who aren't named")
    return "".join(said)


def _list_period_ends(period: FlywheelPeriod, since: dt.date, mature: dt.date) -> Iterator[dt.date]:
    end = since
    while (end := _find_period_end(period, end)) <= mature:
        yield end


def _find_period_end(period: FlywheelPeriod, day: dt.date) -> dt.date:
    """The first day after the period that a day is in."""
    if period == "month":
        return (day.replace(day=1) + dt.timedelta(days=31)).replace(day=1)
    return day + dt.timedelta(days=7 - day.weekday() if period == "week" else 1)


def _make_batch(
    settings: Settings,
    problem: Problem,
    store: DataStore,
    index: LogIndex,
    end: dt.date,
    known: dict[str, Mapping[str, Any]],
) -> str:
    """Make the batch of the period that ends at a day, and add its rows to the `known` ones; "" where it has no rows.

    One that is refused is said so.
    """
    made = store.flywheel_batches()
    begin = read_period_end(made[-1]) if made else None
    observed = problem.rules.OBSERVED_DECISIONS
    answers = sort_answers(store, labelled_answers.read_labelled_answers(index, begin, end), known)
    if not answers.kept:
        return ""
    picked = _find_picked_answers(settings, index, answers.kept)
    rows = build_batch_rows(answers.kept, picked, observed, list(index.label_spec.outcome))
    manifest = _build_manifest(index, begin, end, observed, answers, rows)
    batch = name_flywheel_batch(_find_batch_before(problem, store, end), end)
    files, refusals = encode_flywheel_files(manifest, rows), FileCache(settings.data.derived / "refused", JSON)
    fingerprint, refused = store.fingerprint(batch, files), refusals.find(batch) or {}
    if refused.get("of") == fingerprint:
        return str(refused["reason"])
    try:
        result = store.stage(batch, files)
    except BatchRefused as reason:
        refusals.save(batch, {"of": fingerprint, "reason": str(reason)})
        return str(reason)
    _add_failures(settings, problem, store.staged_rows(batch, files), answers.kept)  # before it is admitted: a batch
    store.admit([batch])  # that a kill leaves staged is made again, and each failure is kept once
    known.update(extract_outcomes(index.label_spec, rows))
    return f"{result}\n{describe_manifest(batch, manifest)}"


def _find_picked_answers(settings: Settings, index: LogIndex, answers: Sequence[LabelledAnswer]) -> set[str]:
    """The ids of the answers whose row was picked for people, by this prediction or by another one of the same row."""
    picked = ReviewQueue.read(settings.review.folder).states
    keys = set(find_shared_keys(index.path.parent, picked).values())
    return {answer.id for answer in answers if answer.id in picked or answer.key in keys}


def _build_manifest(
    index: LogIndex,
    begin: dt.date | None,
    end: dt.date,
    observed: Sequence[bool | str],
    answers: SortedAnswers,
    rows: Sequence[dict[str, Any]],
) -> FlywheelManifest:
    ids, labels = (sorted(each) for each in zip(*((a.id, a.label.id) for a in answers.kept), strict=True))
    first_second = to_day_timestamp(begin) if begin else float("-inf")
    return FlywheelManifest(
        begin=begin,
        end=end,
        predictions=labelled_answers.count_answered_rows(index, begin, end),
        first=ids[0],
        last=ids[-1],
        labels=(labels[0], labels[-1]),
        models=count_by([row[MODEL_COLUMN] for row in rows]),
        origins=count_by([row[ORIGIN_COLUMN] for row in rows]),
        late=sum(answer.since < first_second for answer in answers.kept),
        of_source=answers.of_source,
        unsigned=answers.unsigned,
        prevented=labelled_answers.count_prevented_rows(index, begin, end, observed) if observed else 0,
        explored=sum(answer.answer.explored for answer in answers.kept),
        reviewers=count_by([name for answer in answers.kept if answer.is_of_people for name in answer.label.reviewers]),
        largest_count=max(row[WEIGHT_COLUMN] for row in rows),
    )


def _find_batch_before(problem: Problem, store: DataStore, end: dt.date) -> str:
    """The last admitted batch of the source that was complete by then, or else the first one."""
    complete = {batch.name: batch.complete for batch in list_source_batches(problem)}
    batches = store.source_batches()
    return next((name for name in reversed(batches) if complete.get(name, dt.date.max) <= end), batches[0])


def _add_failures(
    settings: Settings, problem: Problem, staged: pl.DataFrame, answers: Sequence[LabelledAnswer]
) -> None:
    """Add the rows on which the service's answers were the furthest off to the set of failures."""
    schema = problem.schema
    rows = select_labelled_rows(staged, schema.target())
    outputs = {answer.id: answer.output for answer in answers}
    task = build_judged_task(schema, settings.promotion.loss)
    predictions = extract_predictions(task, pl.Series([outputs[name] for name in rows[ID_COLUMN]], strict=False))
    losses = compute_known_losses(task, settings.promotion.loss, rows[LABEL_COLUMN], predictions, float("inf"))
    of_rows = rows.with_columns(pl.Series(LOSS_COLUMN, losses), build_utc_date(schema).alias(DAY_COLUMN))
    FailureSet(settings.training.failures, schema.Row).add(select_worst_failures(of_rows.drop_nans(LOSS_COLUMN)))
