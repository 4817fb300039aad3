"""What nothing should be learnt from: days with a data fault that isn't accepted, and rows without an outcome.

Each batch is judged day by day against the three before it, or as many as span four weeks (days with few rows together,
reaching back into those batches where it has too few itself), and no value is new to it that any batch had before, so
the result depends on the data, the code and `monitor.accept` alone: whoever trains on a data version again leaves out
the same days. Flywheel batches aren't judged, as their rows may have been picked; the days that the source's batches
exclude are left out of them as well.

<derived>/faults/<key>.json   the days with faults of a batch, which are looked for once
"""

import datetime as dt
import functools
from collections.abc import Mapping, Sequence, Set

import polars as pl

from monitoring.faults.data_faults import MIN_RENAMED_ROWS, is_accepted_fault
from monitoring.faults.expectations import (
    MIN_DAY_ROWS,
    MIN_WHOLE_DAY_SHARE,
    Expectations,
    count_span_days,
    learn_expectations,
)
from monitoring.faults.grouped_faults import find_grouped_faults
from penumbra.core.bins import is_word_dtype
from penumbra.core.columns import COUNT_COLUMN, DAY_COLUMN
from penumbra.core.problem import Problem, ProblemSchema, build_utc_date, build_utc_time
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.data.batches import FAULTS_FOLDER, DataStore
from penumbra.storage import fingerprints
from penumbra.storage.cache import JSON, FileCache
from penumbra.training.split import format_batch_spans

FAULT_MODULES = (
    "problem.schema",
    "flows.steps.train.exclusions.excluded_days",
)  # a new candidate leaves the days alone
FAULT_ROOMS = ("monitoring", "penumbra.features", "penumbra.core", "flows.steps.train.exclusions.excluded_days")
EARLIER_BATCHES, EARLIER_DAYS = 3, 28  # batches that tell what is normal, and more until they span so many days
MIN_EARLIER_DAYS = 14  # two whole weeks: of fewer, a Saturday may look like a fault, and be left out ever after


ExcludedDays = dict[str, list[list[str]]]  # by day, of each fault its column ("" where it has none) and its words


class EarlierValues:
    """The values that text columns had in batches, on days without faults, in so many rows that they aren't slips.

    Each batch is read once.
    """

    def __init__(self, store: DataStore) -> None:
        """Begin with no batch."""
        self._store, self._read = store, 0
        columns = store.problem.schema.Row.columns()
        self._values: dict[str, set[str]] = {name: set() for name in columns if is_word_dtype(columns[name].dtype)}

    def read_up_to(self, batches: Sequence[str], excluded: ExcludedDays) -> Mapping[str, Set[str]]:
        """Read the batches that weren't read before.

        Args:
            batches: The first batches, at least as many as the time before.
            excluded: The days of them with faults.

        Returns:
            The values by column.
        """
        schema = self._store.problem.schema
        for batch in batches[self._read :]:
            rows = drop_excluded_days(self._store.rows(batch, [schema.TIME, *self._values]), schema, excluded)
            for name, values in self._values.items():
                counts = rows[name].cast(pl.String).drop_nulls().value_counts(name=COUNT_COLUMN)
                values |= set(counts.filter(pl.col(COUNT_COLUMN) >= MIN_RENAMED_ROWS)[name])
        self._read = len(batches)
        return self._values


def find_excluded_days(settings: Settings, problem: Problem) -> ExcludedDays:
    """Find the days with data faults that aren't accepted; each batch is judged once and the result kept.

    Prints which batches can't be judged, a line for each reason.

    Args:
        settings: Sections [data] and [monitor] (`on_faults`, `accept`) are read.
        problem: The problem, with schema, source and features.

    Returns:
        The faults by day (UTC, ISO 8601), each as its column and words; {} where `monitor.on_faults` is false.
    """
    store, judged = DataStore(settings.data, problem), FileCache(settings.data.derived / FAULTS_FOLDER, JSON)
    excluded: ExcludedDays = {}
    unjudged: dict[str, list[str]] = {}
    batches = store.source_batches() if settings.monitor.on_faults else []
    values, recent = EarlierValues(store), dict[str, pl.DataFrame]()
    key = fingerprints.compute_fingerprint(PROJECT_ROOT, [], _fingerprint_code(), settings.monitor.accept)
    for number, batch in enumerate(batches):
        key = fingerprints.compute_fingerprint(PROJECT_ROOT, [], key, store.name_partition(batch))  # of all before it
        faults = judged.find(key)
        if faults is None:
            recent = _read_earlier(store, batches[:number], recent)
            earlier, recent[batch] = list(recent.values()), _read_batch(store, batch)
            known = values.read_up_to(batches[: number - len(earlier)], excluded)
            faults, reason = _find_batch_faults(
                problem.schema, recent[batch], earlier, known, excluded, settings.monitor.accept
            )
            judged.save(key, faults)
            if reason:
                unjudged.setdefault(reason, []).append(batch)
        excluded |= faults
    for reason, names in unjudged.items():
        print(f"{format_batch_spans(names, batches)}: days aren't looked at for data faults: {reason}")
    return excluded


def drop_excluded_days(rows: pl.DataFrame, schema: ProblemSchema, days: ExcludedDays) -> pl.DataFrame:
    """Drop the rows of excluded days.

    Args:
        rows: Rows with the contract's column of the time of the event.
        schema: The contract.
        days: What `find_excluded_days` returned.

    Returns:
        The rows of all other days, with the same columns.
    """
    return rows.filter(~build_utc_date(schema).cast(pl.String).is_in(list(days))) if days else rows


@functools.cache
def _fingerprint_code() -> str:
    """Return the digest of the modules that decide which days have faults."""
    return fingerprints.compute_fingerprint(
        PROJECT_ROOT, fingerprints.list_result_files(PROJECT_ROOT, FAULT_MODULES, FAULT_ROOMS)
    )


def _read_batch(store: DataStore, batch: str) -> pl.DataFrame:
    """The rows of a batch with the contract's columns, their time in UTC, and their day in `penumbra.day`."""
    schema = store.problem.schema
    rows = store.rows(batch, list(schema.Row.columns()))
    return rows.with_columns(build_utc_time(schema), build_utc_date(schema).alias(DAY_COLUMN))


def _read_earlier(
    store: DataStore, batches: Sequence[str], known: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """The last of these batches that tell what is normal, in the order of time; those that are `known` aren't read."""
    found, ends = dict[str, pl.DataFrame](), pl.Series(DAY_COLUMN, [], pl.Date)
    for batch in reversed(batches):
        if len(found) >= EARLIER_BATCHES and count_span_days(ends) >= EARLIER_DAYS:
            break
        found[batch] = known[batch] if batch in known else _read_batch(store, batch)
        days = pl.concat([ends, found[batch][DAY_COLUMN]])
        ends = pl.Series(DAY_COLUMN, [days.min(), days.max()], pl.Date)
    return dict(reversed(found.items()))


def _find_batch_faults(
    schema: ProblemSchema,
    batch: pl.DataFrame,
    earlier: list[pl.DataFrame],
    known: Mapping[str, Set[str]],
    excluded: ExcludedDays,
    accept: list[str],
) -> tuple[ExcludedDays, str]:
    """The days of a batch with faults, and why none was looked for; "" where some were."""
    if not earlier:
        return {}, "nothing comes before the first batch"
    if count_span_days(pl.concat([rows[DAY_COLUMN] for rows in earlier])) < MIN_EARLIER_DAYS:
        return {}, f"those before span less than {MIN_EARLIER_DAYS} days"
    before = drop_excluded_days(pl.concat(earlier), schema, excluded)
    try:
        expectations = learn_expectations(before.drop(DAY_COLUMN), schema, known)
    except ValueError as reason:  # too little comes before it
        return {}, str(reason)
    whole = _list_whole_days(batch, expectations)
    rows = pl.concat([before.filter(pl.col(DAY_COLUMN) < whole[0]), batch], how="diagonal_relaxed")
    counts = dict(rows.group_by(DAY_COLUMN).len().iter_rows())
    if sum(counts.values()) < MIN_DAY_ROWS:
        return {}, "they and those before have too few rows"
    found = find_grouped_faults(whole, counts, lambda days: rows.filter(pl.col(DAY_COLUMN).is_in(days)), expectations)
    excluded_days = {
        str(day): [[each.column, f"{each.text} ({each.cause})"] for each in open_faults]
        for group, faults in found
        for day in group
        if day in whole and (open_faults := [each for each in faults if not is_accepted_fault(each, day, accept)])
    }
    return excluded_days, ""


def _list_whole_days(rows: pl.DataFrame, expectations: Expectations) -> list[dt.date]:
    """The days of a batch, ascending; where each is judged by itself without those that it has but a part of."""
    days = rows.group_by(DAY_COLUMN).len().sort(DAY_COLUMN)
    usual = days["len"].sort()[days.height // 2] if expectations.block_days == 1 else 0
    return days.filter(pl.col("len") >= MIN_WHOLE_DAY_SHARE * usual)[DAY_COLUMN].to_list()
