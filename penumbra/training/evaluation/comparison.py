"""Comparison of runs: their losses, intervals and costs, and what changed between them in data, code and settings."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penumbra.core.text.intervals import format_limits
from penumbra.core.text.tables import format_significant
from penumbra.training.split import format_batch_range

RunFacts = Mapping[str, Any]
COMPARISON_COLUMNS = [
    "run",
    "when",
    "kind",
    "candidate",
    "judged on",
    "loss",
    "95 % interval",
    "fit s",
    "latency µs",
    "size kB",
    "gate",
]


@dataclass(frozen=True)
class ComparedRun:
    """A training or experiment run.

    Args:
        id: Its short id.
        start: Its start, in seconds since the epoch.
        metrics: "loss", "fit_seconds", "latency_us" and "size_bytes"; "loss_low" and "loss_high" where they are known.
        facts: What made it: "kind", "candidate", "parameters", "judged" (batches), "gate" (a verdict), "data_version",
            "train", "revision", "files" (digests by path), "settings" and "environment".
    """

    id: str
    start: float
    metrics: Mapping[str, float]
    facts: RunFacts


def describe_runs(runs: Sequence[ComparedRun]) -> str:
    """Describe runs side by side, and what changed from each to the next.

    Args:
        runs: The runs, oldest first.

    Returns:
        A table with a line for each run, then for each run after the first its differences from the one before.
    """
    rows = [COMPARISON_COLUMNS, *(_format_row(run) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COMPARISON_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *_format_changes(runs)])


def describe_changes(before: RunFacts, after: RunFacts) -> list[str]:
    """Describe the differences between what made two runs: data, code, and values such as settings.

    Args:
        before: Facts of the earlier run.
        after: Facts of the later run.

    Returns:
        A sentence for each difference.
    """
    values = ("candidate", "parameters", "settings", "environment")
    return [
        *_data_changes(before, after),
        *list_code_changes(before, after),
        *list_value_changes(before, after, values),
    ]


def list_code_changes(before: RunFacts, after: RunFacts) -> list[str]:
    """List the difference between the code of two runs.

    Args:
        before: "files" (digests by path) and "revision" of the earlier run.
        after: Those of the later run.

    Returns:
        A sentence that names the files and how to see their differences; none where they are the same.
    """
    old, new = before["files"], after["files"]
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    names, commits = " ".join(changed), [facts["revision"][:10] for facts in (before, after)]
    return [f"code: {names} (git diff {' '.join(dict.fromkeys(commits))} -- {names})"] if changed else []


def list_value_changes(before: RunFacts, after: RunFacts, titles: Sequence[str]) -> list[str]:
    """List the differences between values of two runs.

    Args:
        before: The values of the earlier run by title; each may hold others.
        after: Those of the later run.
        titles: Which of them to compare.

    Returns:
        A sentence for each value that differs.
    """
    return [change for title in titles for change in _compare_values(before[title], after[title], title)]


def _format_row(run: ComparedRun) -> list[str]:
    metrics, facts = run.metrics, run.facts
    return [
        run.id[:8],
        f"{dt.datetime.fromtimestamp(run.start):%m-%d %H:%M}",
        facts["kind"],
        facts["candidate"],
        format_batch_range(facts["judged"]),
        f"{metrics['loss']:.4f}",
        format_limits(metrics.get("loss_low"), metrics.get("loss_high"), "{:.4f}".format),
        f"{metrics['fit_seconds']:.1f}",
        format_significant(metrics["latency_us"]),
        format_significant(metrics["size_bytes"] / 1000),
        facts["gate"],
    ]


def _format_changes(runs: Sequence[ComparedRun]) -> Iterator[str]:
    for before, after in itertools.pairwise(runs):
        yield f"\n{before.id[:8]} → {after.id[:8]}:"
        yield from (f"  {line}" for line in describe_changes(before.facts, after.facts) or ["nothing changed"])


def _data_changes(before: RunFacts, after: RunFacts) -> Iterator[str]:
    if before["data_version"] != after["data_version"]:
        yield f"data: version {before['data_version'][:8]} → {after['data_version'][:8]}"
    for title in ("train", "judged"):
        if before[title] != after[title]:
            yield f"{title}: {format_batch_range(before[title])} → {format_batch_range(after[title])}"


def _compare_values(before: Any, after: Any, title: str) -> Iterator[str]:
    old, new = dict(_flatten(before, title)), dict(_flatten(after, title))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name, 'not set')} → {new.get(name, 'not set')}"


def _flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        yield from _flatten(inner, f"{name}.{key}")
