"""Sentences about the batches of a draft: rows that aren't used yet, and classes that the held-out ones lack."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from penumbra.core.problem import SourceBatch
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names
from penumbra.drafting.draft import NO_OUTCOME, ProblemDraft
from penumbra.drafting.files.settings_file import find_today, list_arrived, list_usable
from penumbra.training.doctor.waiting_outcomes import find_waiting_outcomes

PARTS = ("training", "validation", "test")


def list_batch_notes(draft: ProblemDraft, batches: Sequence[SourceBatch], now: dt.date, held_out: int) -> Iterator[str]:
    """List what is to be told about the batches that training begins with.

    Args:
        draft: The draft.
        batches: The batches of its source, oldest first.
        now: Today by the calendar.
        held_out: How many of the newest are the test, and as many before them the validation.

    Yields:
        Sentences.
    """
    counts = {day: Counter(classes) for day, classes in draft.day_rows.items()}
    arrived = list_arrived(draft, batches, now)
    usable = list_usable(draft, arrived)
    begins = [usable[-number * held_out - 1].complete for number in (2, 1)]
    later = sum(classes.total() for day, classes in counts.items() if day >= arrived[-1].complete)
    if later:
        rows, advice = format_count(later, "row is", "rows are"), _advise_end(draft, batches, now)
        yield f"{rows} of a {draft.source.period} that isn't known to be over, so they aren't used yet{advice}"
    if waiting := find_waiting_outcomes(draft.count_outcomes()):
        yield f"{waiting}: labels.delay_hours becomes {waiting.hours}, as if all came so late"
    parts: Mapping[str, Counter[str]] = {part: Counter() for part in PARTS}
    for day, classes in counts.items():
        if day < arrived[-1].complete:
            parts[PARTS[sum(day >= begin for begin in begins)]].update(classes)
    every = sorted({name for classes in counts.values() for name in classes} - {NO_OUTCOME})
    for part, found in parts.items():
        if lacking := [name for name in every if not found[name]]:
            yield _describe_lack(part, lacking, len(every) - len(lacking) < 2, draft)


def _advise_end(draft: ProblemDraft, batches: Sequence[SourceBatch], now: dt.date) -> str:
    """What to do about rows that wait, where the clock doesn't go on by itself."""
    if find_today(draft, now) == now:
        return ""
    shorter = ", or pass a shorter --period" if draft.source.period != "day" else ""
    return f": where no more will come, set data.today = {batches[-1].complete} and ingest{shorter}"


def _describe_lack(part: str, lacking: Sequence[str], has_one: bool, draft: ProblemDraft) -> str:
    where = "before the held-out batches" if part == "training" else f"in the {part} batches"
    what = f"no row {where} has {draft.target.column} {list_names(lacking)}"
    if part != "training":
        return f"{what}: how well they are told isn't measured; join rare classes in target(), or hold out more batches"
    if has_one:
        return f"{what}: nothing can be trained; join rare classes in target(), or pass another --period"
    return f"{what}: scores are those of a model that gives them the probability 0; the released one learns from all"
