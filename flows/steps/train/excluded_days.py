"""What nothing should be learnt from: days with a data fault that isn't accepted, and rows without an outcome.

Each batch is judged day by day against the batches before it (days with few rows together, reaching back into those
batches where it has too few itself), so the result depends on the data, the code and
`monitor.accept` alone: whoever trains on a data version again leaves out the same days. Flywheel batches aren't judged,
as their rows may have been picked; the days that the source's batches exclude are left out of them as well.

<derived>/faults/<key>.json   the days with faults of a batch, which are looked for once
"""

import datetime as dt
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import polars as pl

from monitoring.faults.data_faults import find_grouped_faults, is_accepted_fault
from monitoring.faults.expectations import MIN_DAY_ROWS, MIN_WHOLE_DAY_SHARE, Expectations, learn_expectations
from penumbra.core.columns import DAY_COLUMN, WEIGHT_COLUMN
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.text.counts import format_count
from penumbra.data.batches import FAULTS_FOLDER, DataStore
from penumbra.data.flywheel_manifest import is_flywheel_batch
from penumbra.storage import fingerprints
from penumbra.storage.cache import JSON, FileCache
from penumbra.training.fit import select_labelled_rows
from penumbra.training.split import format_batch_range

FAULT_MODULES = ("problem.schema", "flows.steps.train.excluded_days")  # a new candidate leaves the days alone
FAULT_ROOMS = ("monitoring", "penumbra.features", "penumbra.core", "flows.steps.train.excluded_days")
EARLIER_BATCHES = 3  # batches that tell what is normal

SHOWN_SPANS, SHOWN_FAULTS, SHOWN_DAYS = 5, 3, 7
FIGURE = re.compile(r"""(?<![\w.'"-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w'"-]|\.\d)""")  # of no name, date or quoted value

ExcludedDays = dict[str, list[list[str]]]  # by day, of each fault its column ("" where it has none) and its words


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
    partitions = {batch: store.name_partition(batch) for batch in batches}
    for number, batch in enumerate(batches):
        earlier = batches[max(0, number - EARLIER_BATCHES) : number]
        read = [partitions[name] for name in [*earlier, batch]]
        key = fingerprints.compute_fingerprint(
            PROJECT_ROOT, [], _fingerprint_code(), read, settings.monitor.accept, excluded
        )
        faults = judged.find(key)
        if faults is None:
            faults, reason = _find_batch_faults(store, batch, earlier, excluded, settings.monitor.accept)
            judged.save(key, faults)
            if reason:
                unjudged.setdefault(reason, []).append(batch)
        excluded |= faults
    for reason, names in unjudged.items():
        print(f"{_name_batches(names, batches)}: days aren't looked at for data faults: {reason}")
    return excluded


def drop_excluded_days(rows: pl.DataFrame, time: str, days: ExcludedDays) -> pl.DataFrame:
    """Drop the rows of excluded days.

    Args:
        rows: Rows with the column `time`.
        time: The name of the column with the time of the event (UTC).
        days: What `find_excluded_days` returned.

    Returns:
        The rows of all other days, with the same columns.
    """
    return rows.filter(~pl.col(time).dt.date().cast(pl.String).is_in(list(days))) if days else rows


@dataclass(frozen=True)
class BatchOutcomes:
    """What can be learnt from a batch.

    Attributes:
        rows: Rows with an outcome, on days without faults.
        known: Rows with an outcome, on whatever day.
        lost: Rows whose outcome is NaN or infinite.
        is_weighted: Whether some of them stand for more rows than others: nothing is judged on such a batch.
    """

    rows: int
    known: int
    lost: int
    is_weighted: bool


def count_batch_outcomes(store: DataStore, excluded: ExcludedDays) -> dict[str, BatchOutcomes]:
    """Count what can be learnt from each admitted batch.

    Args:
        store: The data store.
        excluded: What `find_excluded_days` returned.

    Returns:
        The outcomes by batch, oldest first.
    """
    return {batch: _count_outcomes(store, batch, excluded) for batch in store.batches()}


def _count_outcomes(store: DataStore, batch: str, excluded: ExcludedDays) -> BatchOutcomes:
    schema = store.problem.schema
    outcome = [name for name in schema.Labelled.columns() if name not in schema.Row.columns()]
    rows = store.weighted_rows(batch, [schema.TIME, *outcome])
    known = select_labelled_rows(rows, schema.target())
    learnt = drop_excluded_days(known, schema.TIME, excluded)
    lost = rows.select(schema.target().is_not_null().sum()).item() - known.height
    return BatchOutcomes(learnt.height, known.height, lost, bool((learnt[WEIGHT_COLUMN] != 1).any()))


def describe_outcomes(outcomes: Mapping[str, BatchOutcomes]) -> list[str]:
    """Describe what is wrong with the outcomes of batches, in a line for all that lack the same.

    Args:
        outcomes: What `count_batch_outcomes` returned.

    Returns:
        Sentences without a full stop; none if nothing is.
    """
    spoilt = [batch for batch, found in outcomes.items() if found.lost]
    fetched = [batch for batch in outcomes if not is_flywheel_batch(batch)]
    empty = [batch for batch in fetched if not outcomes[batch].known + outcomes[batch].lost]
    latest = next((batch for batch in reversed(fetched) if batch not in empty), "")
    place = {batch: number for number, batch in enumerate(fetched)}
    waiting = [batch for batch in empty if place[batch] > place.get(latest, -1)]
    without = empty[: len(empty) - len(waiting)]
    sentences = []
    if spoilt:
        lost = sum(outcomes[batch].lost for batch in spoilt)
        names = _name_batches(spoilt, list(outcomes))
        sentences.append(
            f"{names}: {format_count(lost, 'outcome is', 'outcomes are')} NaN or infinite, from which nothing is learnt"
        )
    if without:
        sentences.append(f"{_name_batches(without, fetched)}: no row has an outcome")
    if waiting:
        sentences.append(f"{_name_batches(waiting, fetched)}: no row has an outcome yet")
    return sentences


def _name_batches(batches: Sequence[str], known: Sequence[str]) -> str:
    """Name some of the known batches, those that follow each other as one span."""
    if len(batches) == 1:
        return batches[0]
    place = {batch: number for number, batch in enumerate(known)}
    spans: list[list[str]] = []
    for batch in batches:
        if not spans or place[batch] != place[spans[-1][-1]] + 1:
            spans.append([])
        spans[-1].append(batch)
    if len(spans) > SHOWN_SPANS:
        return f"{format_count(len(batches), 'batch', 'batches')} between {batches[0]} and {batches[-1]}"
    return f"{format_count(len(batches), 'batch', 'batches')}, {', '.join(map(format_batch_range, spans))}"


def describe_excluded_days(days: ExcludedDays, on_faults: bool = True) -> str:
    """Describe the excluded days, how ever many, in two lines.

    Args:
        days: What `find_excluded_days` returned.
        on_faults: The setting `monitor.on_faults`: whether faults were looked for.

    Returns:
        How many days are left out and why, where all of them are listed, and what to do about them; "" if there are
        none, or that the check was skipped.
    """
    if not on_faults:
        return "No day was looked at for data faults: monitor.on_faults = false."
    if not days:
        return ""
    first, last = min(days), max(days)
    span = (
        f"a day with data faults, {last}"
        if len(days) == 1
        else f"{format_count(len(days), 'day')} with data faults, {first} to {last}"
    )
    return (
        f"Nothing is learnt from {span}: {_summarise_faults(days)}\n"
        "Next: `penumbra quarantine` lists them. What was mended comes by `penumbra ingest --again`; what is no fault "
        "is accepted by its date, by the name of its column on all days, or by both: of these all by "
        f"monitor.accept = {json.dumps(_list_accepting_phrases(days))} in settings.toml."
    )


def _list_accepting_phrases(days: ExcludedDays) -> list[str]:
    """What `monitor.accept` would need for all faults: the days where they are few, else the columns."""
    if len(days) <= SHOWN_DAYS:
        return sorted(days)
    columns = {column for faults in days.values() for column, _ in faults if column}
    return [*sorted(columns), *(day for day, faults in sorted(days.items()) if any(not column for column, _ in faults))]


def _summarise_faults(days: ExcludedDays) -> str:
    """The faults that most days have, each once with the range of its figures, and on how many days if not on all."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for _, text in chain.from_iterable(days.values()):
        alike.setdefault(tuple(FIGURE.split(text)), []).append(text)
    kinds = sorted(alike.items(), key=lambda kind: -len(kind[1]))
    shown = [
        _merge_figures(words, texts) + (f" on {len(texts)} of them" if len(texts) < len(days) else "")
        for words, texts in kinds[:SHOWN_FAULTS]
    ]
    return "; ".join([*shown, *([f"and {len(kinds) - SHOWN_FAULTS} more"] if len(kinds) > SHOWN_FAULTS else [])])


def _merge_figures(words: Sequence[str], texts: Sequence[str]) -> str:
    """One text for several that differ in their figures alone: "40 to 100% of amount is missing"."""
    columns = zip(*(FIGURE.findall(text) for text in texts), strict=True)
    ordered = [sorted(set(figures), key=lambda each: float(each.replace(",", ""))) for figures in columns]
    ranges = [figures[0] if len(figures) == 1 else f"{figures[0]} to {figures[-1]}" for figures in ordered]
    return "".join(chain.from_iterable(zip_longest(words, ranges, fillvalue="")))


def list_excluded_spans(days: ExcludedDays) -> str:
    """List the excluded days, those on end with the same faults in one line.

    Args:
        days: What `find_excluded_days` returned.

    Returns:
        A line for each span of days, under one that says how many they are; "" if there are none.
    """
    spans: list[tuple[list[str], list[str]]] = []
    for day, found in sorted(days.items()):
        faults = [text for _, text in found]
        if not spans or spans[-1][1] != faults:
            spans.append(([], faults))
        spans[-1][0].append(day)
    lines = [f"  {_name_span(each)}: {'; '.join(faults)}" for each, faults in spans]
    return (
        "\n".join([f"Left out of training for data faults: {format_count(len(days), 'day')}", *lines]) if days else ""
    )


def _name_span(days: list[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]} ({format_count(len(days), 'day')})"


@functools.cache
def _fingerprint_code() -> str:
    """Return the digest of the modules that decide which days have faults."""
    return fingerprints.compute_fingerprint(
        PROJECT_ROOT, fingerprints.list_result_files(PROJECT_ROOT, FAULT_MODULES, FAULT_ROOMS)
    )


def _find_batch_faults(
    store: DataStore, batch: str, earlier: list[str], excluded: ExcludedDays, accept: list[str]
) -> tuple[ExcludedDays, str]:
    """The days of a batch with faults, and why none was looked for; "" where some were."""
    schema, columns = store.problem.schema, list(store.problem.schema.Row.columns())
    try:
        read = [store.rows(name, columns) for name in earlier]
        before = drop_excluded_days(pl.concat(read), schema.TIME, excluded)
        expectations = learn_expectations(before, schema)
    except ValueError as reason:  # there is nothing before it, or too little
        return {}, str(reason) if earlier else "nothing comes before the first batch"
    day = pl.col(schema.TIME).dt.date().alias(DAY_COLUMN)
    judged = store.rows(batch, columns).with_columns(day)
    whole = _list_whole_days(judged, expectations)
    rows = pl.concat([before.with_columns(day).filter(pl.col(DAY_COLUMN) < whole[0]), judged], how="diagonal_relaxed")
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
