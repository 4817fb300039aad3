"""A draft of a problem in words: what was found in the data, and what to do next."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penumbra.cli.reports.quarantine_report import read_quarantine
from penumbra.core.problem import Problem, SourceBatch
from penumbra.core.settings import DataSettings, Settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text, list_beginning, list_names, quote_value
from penumbra.data.batches import DataStore
from penumbra.drafting.draft import CALENDAR_KINDS, DraftColumn, ProblemDraft
from penumbra.training.split import format_batch_range

COLUMN_WIDTH = 10
FINDINGS_FIRST = (
    "First mend in problem/ what the doctor has found, or accept it (gate.accept in settings.toml), as `make train` "
    "stops at it and the gate refuses it. Then:"
)

IGNORE_DATA = (
    "DVC versions the batches, so git needn't have the data: the first line below has them ignored, as what is new "
    "there would count as a change of the code. Where a pipeline or a clone is to read them, commit them instead, or "
    "put them behind a URL."
)


def describe_draft(draft: ProblemDraft, batches: Sequence[SourceBatch], changes: Sequence[str]) -> str:
    """Describe what was found in the data.

    Args:
        draft: The draft.
        batches: The batches of its source, oldest first.
        changes: Lines about what changes in settings.toml.

    Returns:
        Lines.
    """
    head = f"{format_count(draft.rows, 'row')} on {_describe_days(draft)}"
    return "\n".join([head, *(f"  {title:<{COLUMN_WIDTH}}{text}" for title, text in _list_findings(draft, batches)),
                      *(f"  {'setting':<{COLUMN_WIDTH}}{line}" for line in changes)])  # fmt: skip


def _describe_days(draft: ProblemDraft) -> str:
    """The days of the rows; of those that are told by a date of a period, the last may have no row."""
    if draft.has_made_up_days:
        return format_count(draft.days, "made-up day")
    return f"{format_count(draft.days, 'day')}, {draft.first_day} to {max(draft.day_rows, default=draft.last_day)}"


def _list_findings(draft: ProblemDraft, batches: Sequence[SourceBatch]) -> Iterator[tuple[str, str]]:
    target, key = draft.target, [column.name for column in draft.columns if column.is_key]
    yes = f", yes is {quote_value(target.positive)}" if target.task == "binary" else ""
    yield "target", f"{escape_text(target.column)}: {target.task}{yes}{_format_reason(target.reason)}"
    cut = f"{format_count(len(batches), 'batch', 'batches')} by {draft.source.period}"
    cut += "" if draft.has_made_up_days else f", the last complete on {batches[-1].complete}"
    made_up = ", which the source makes up" if draft.has_made_up_days else ""
    yield "time", f"{escape_text(draft.source.time)}{made_up}; {cut}"
    yield "key", list_names(key) if key else "none: labels are joined by the prediction's id alone"
    features = [_name_features(column) for column in draft.columns if column.features]
    yield "features", f"{sum(len(column.features) for column in draft.columns)}: {list_beginning(features)}"
    for column in draft.columns:
        if column.role == "unused" or (column.role == "outcome" and column.name != target.column):
            yield _describe_left_out(column)
    for note in draft.notes:
        yield "note", note


def _name_features(column: DraftColumn) -> str:
    """The column's name, with the parts of a time that are read."""
    parts = f" ({', '.join(column.features)})" if set(column.features) & set(CALENDAR_KINDS) else ""
    return f"{list_names([column.name])}{parts}"


def _describe_left_out(column: DraftColumn) -> tuple[str, str]:
    if column.role == "unused":
        named = f"{escape_text(column.name)}{_format_reason(column.reason)}"
        return "left out", named if column.name.strip() else column.reason
    return "outcome", f"{escape_text(column.name)}, which requests don't have{_format_reason(column.reason)}"


def _format_reason(reason: str) -> str:
    return f" ({reason})" if reason else ""


def describe_ingest(data: DataSettings, problem: Problem) -> str:
    """Say what became of the rows at the first ingest.

    Args:
        data: Where the batches are.
        problem: The problem, with schema and source.

    Returns:
        A line with the batches and the number of rows that were rejected.
    """
    batches = DataStore(data, problem).batches()
    rejected = sum(rows.height for rows in read_quarantine(data, problem))
    told = (
        f"{format_count(rejected, 'row is', 'rows are')} quarantined (`penumbra quarantine` says why)"
        if rejected
        else "no row is quarantined"
    )
    return f"Ingested {format_count(len(batches), 'batch', 'batches')}, {format_batch_range(batches)}: {told}"


def describe_next_steps(
    source: str,
    example: Mapping[str, Any],
    settings: Settings,
    is_committed: bool,
    has_findings: bool = False,
    untracked: str = "",
) -> str:
    """Say what to do once `problem/` is written.

    Args:
        source: What the draft was made from: the name of a file, a folder or a glob, or "a query".
        example: A record as a client sends it.
        settings: Sections [service] and [labels] are read.
        is_committed: Whether the project is a git checkout with a commit.
        has_findings: Whether the doctor has found something.
        untracked: The path or glob of the data, relative to the project's folder; "" where git has or ignores them, or
            they lie elsewhere.

    Returns:
        Lines with commands.
    """
    message = shlex.quote(f"A first problem, drafted from {source}")
    record = shlex.quote(json.dumps(example, ensure_ascii=False))
    address = f"{settings.service.host}:{settings.service.port}"
    return "\n".join(
        [
            "Read problem/, above all schema.py, and say in its __init__.py what the model is for. "
            f"Labels are due {settings.labels.delay_hours:g} hours after a row's "
            "time: where yours come later, say so in settings.toml (labels.delay_hours).",
            *([IGNORE_DATA] if untracked else []),
            f"{FINDINGS_FIRST if has_findings else 'Next:'}",
            *([f"  echo {shlex.quote(f'/{untracked}')} >> .gitignore"] if untracked else []),
            f"  {'' if is_committed else 'git init && '}git add --all && git commit --message {message}",
            "  make train",
            "  make serve",
            f"  curl -s -H 'content-type: application/json' {address}/predict -d {record}",
        ]
    )
