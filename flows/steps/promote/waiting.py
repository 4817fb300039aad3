"""What a verdict of "keep collecting" waits for: where rows stop to be evidence, and when the next ones count."""

import datetime as dt
from collections.abc import Iterator

import polars as pl

from flows.steps.model_version import ModelVersion
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count, format_share
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import count_orphans, count_own_answers
from penumbra.logs.schema import STATUS_OK
from penumbra.promotion.day_blocks import compute_block_start

QUIET = dt.timedelta(days=1)  # so long without an answer is worth a word
RARE_GAP = 2  # blocks from one with rows to the next, on average, from which on it is worth a word
LONG_DAYS, YEAR_DAYS = 700, 365.25
AT_ONCE = "; its labels are here, and `PENUMBRA_LABELS__DELAY_HOURS=0 make promote` lets them count at once"


def explain_waiting(
    settings: Settings, live: ModelVersion, new: ModelVersion, answers: pl.DataFrame, now: dt.datetime
) -> list[str]:
    """Explain what a candidate's evidence waits for.

    Args:
        settings: Sections [promotion], [labels], and those that the index of the logs needs.
        live: The live version.
        new: The candidate.
        answers: The columns of `paired_evidence.read_paired_answers`, of which `event` and `time` (Datetime), `status`,
            `target` and `arrived` are used.
        now: The time (UTC) by which labels are due.

    Returns:
        Sentences, from the first obstacle on a row's way to the last; each names the setting that decides, if one does.
    """
    index = LogIndex.from_settings(settings, live.problem.schema)
    total, alone, last = count_own_answers(index, live.folder.name)
    scored = answers.filter(status=STATUS_OK)
    if last is None:
        return [f"version {live.folder.name} has answered nothing yet that is in the prediction log"]
    quiet = [f"nothing has been asked of version {live.folder.name} since {last:%Y-%m-%d %H:%M} UTC"]
    reasons = quiet if now - last > QUIET else []
    if alone < total / 2:
        reasons.append(
            f"a rule or another model had a say in {total - alone:,} of its {format_count(total, 'answer')}, "
            "which don't count"
        )
    if alone and scored.is_empty():
        reasons.append(
            f"version {new.folder.name} has scored none of the {format_count(alone, 'other')} "
            "(`penumbra shadow` says why)"
        )
    return [*reasons, *_explain_learnt_rows(scored, new), *_explain_days(settings, index, scored, new, now)]


def explain_rare_days(times: pl.Series, block_days: int, days_needed: int | None) -> list[str]:
    """Explain how long a verdict takes where most days have no rows, as in a table with one day a year.

    Args:
        times: The times of rows before (Date or Datetime [n]), of days that are usual.
        block_days: The setting `promotion.block_days`: a block with rows counts as so many days.
        days_needed: How many more days the verdict takes; None where that isn't known.

    Returns:
        A sentence, or nothing where at least every second block has rows.
    """
    starts = times.to_frame("time").select(compute_block_start("time", block_days).unique().sort()).to_series()
    span = (starts[-1] - starts[0]).days if len(starts) > 1 else 0
    if not days_needed or span < RARE_GAP * (len(starts) - 1) * block_days or not span:
        return []
    days = days_needed / block_days * span / (len(starts) - 1)
    long = format_count(round(days), "day") if days < LONG_DAYS else format_count(round(days / YEAR_DAYS), "year")
    what, more = "days" if block_days == 1 else f"blocks of {block_days} days", format_count(days_needed, "more day")
    return [
        f"{what} without rows don't count, and {len(starts):,} of the reference have some between {starts[0]} and "
        f"{starts[-1]}: at that rate {more} will take about {long}"
    ]


def drop_learnt_rows(answers: pl.DataFrame, new: ModelVersion) -> pl.DataFrame:
    """Drop the rows of days from which a version may have learnt.

    Args:
        answers: Rows with `event` (Datetime).
        new: The version.

    Returns:
        The rows of days after all that it learnt from was complete.
    """
    return answers if new.learnt is None else answers.filter(pl.col("event").dt.date() > new.learnt)


def _explain_learnt_rows(scored: pl.DataFrame, new: ModelVersion) -> Iterator[str]:
    if learnt := scored.height - drop_learnt_rows(scored, new).height:
        dont_count = "doesn't count: its" if learnt == 1 else "don't count: their"
        yield (
            f"{learnt:,} of {format_count(scored.height, 'scored row')} {dont_count} "
            f"{new.problem.schema.TIME} isn't after "
            f"{new.learnt}, when the last batch was complete that version {new.folder.name} has learnt from"
        )


def _explain_days(
    settings: Settings, index: LogIndex, scored: pl.DataFrame, new: ModelVersion, now: dt.datetime
) -> Iterator[str]:
    """Explain which days lack labels, and which is the next to count."""
    terms, hours = settings.promotion, settings.labels.delay_hours
    due = pl.max_horizontal("event", "time") + pl.duration(hours=hours)
    end = pl.col("first").cast(pl.Datetime("us", "UTC")) + pl.duration(days=terms.block_days)
    possible = drop_learnt_rows(scored, new).filter(pl.col("target").is_not_null() | pl.col("arrived").is_null())
    days = possible.group_by(compute_block_start("event", terms.block_days)).agg(
        due=due.max(), share=pl.col("target").is_not_null().mean()
    )
    is_labelled = (end <= now) & (pl.col("share") >= terms.coverage)
    days = days.with_columns(is_labelled.alias("labelled"), ready=pl.max_horizontal("due", end)).sort("first")
    days = days.with_columns(pl.col("first").cast(pl.String))  # text, as Python has no year 0 for it
    lacking = days.filter(pl.col("ready") <= now, pl.col("share") < terms.coverage)
    if lacking.height:
        yield (
            f"of {format_count(lacking.height, 'day that is', 'days that are')} over, from "
            f"{lacking['first'][0]} on, too few rows have a label "
            f"(of the first {format_share(lacking['share'][0], 0)}): a day counts from {terms.coverage:.0%} on "
            "(promotion.coverage)"
        )
        yield from _explain_orphans(index)
    known = pl.col("ready").dt.strftime("%Y-%m-%d %H:%M")
    waiting = days.filter(pl.col("ready") > now).select("first", known, "labelled").head(1)
    for first, ready, is_known in waiting.iter_rows():
        yield (
            f"the next day to count is {first}, from {ready} UTC on: labels are due {hours:g} h after "
            f"the row's {new.problem.schema.TIME} or the prediction, whichever is later (labels.delay_hours)"
            f"{AT_ONCE if is_known else ''}"
        )


def _explain_orphans(index: LogIndex) -> Iterator[str]:
    if orphans := count_orphans(index):
        key = ", ".join(index.label_spec.key) or "the prediction id, as the contract has no key"
        yield (
            f"{format_count(orphans, 'label belongs', 'labels belong')} to no prediction: see that they have "
            f"what was asked with ({key})"
        )
