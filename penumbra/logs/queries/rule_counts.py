"""Counts of the business rules that fired, from the prediction log and the refusals beside it, read piece by piece."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from penumbra.logs import append_log
from penumbra.logs.queries.lookup import find_labelled_ids
from penumbra.logs.schema import RuleMarks, get_refusals_folder


@dataclass
class RuleCounts:
    """Counts of the business rules.

    Attributes:
        predictions: How many predictions were counted.
        rules: How many records each rule fired on, by its name.
        failed: How many records each rule raised an error on.
        fallbacks: How many answers each fallback gave.
        reviewed: How many answers people were to look at.
        waiting: How many of those have no label; None where the index can't be read.
    """

    predictions: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    reviewed: int = 0
    waiting: int | None = 0

    def add(self, entries: Sequence[RuleMarks], labels: Path) -> None:
        """Count more predictions.

        Args:
            entries: Entries of the prediction log.
            labels: The folder of the label log, with the index.
        """
        self.predictions += len(entries)
        review = [entry.id for entry in entries if entry.review]
        self.reviewed += len(review)
        for entry in entries:
            self.rules.update(entry.rules)
            self.failed.update(entry.failed_rules)
            self.fallbacks.update([entry.fallback] * bool(entry.fallback))
        if review and self.waiting is not None:
            self.waiting = _count_waiting(self.waiting, review, labels)


def count_rules(predictions: Path, labels: Path) -> RuleCounts:
    """Count everything in the prediction log's segments and its refusals.

    Args:
        predictions: The folder of the prediction log.
        labels: The folder of the label log, with the index.

    Returns:
        The counts.

    Raises:
        msgspec.MsgspecError: Where a line can't be read.
    """
    fired = RuleCounts()
    for entries in _read_in_chunks(predictions):
        fired.add(entries, labels)
    for entries in _read_in_chunks(get_refusals_folder(predictions)):
        fired.rules.update(entry.rule for entry in entries)
    return fired


def _read_in_chunks(folder: Path) -> Iterator[list[RuleMarks]]:
    decode = msgspec.json.Decoder(RuleMarks).decode
    for path in append_log.list_segments(folder):
        position = 0
        while content := append_log.read_tail(path, position):
            position += len(content)
            yield [decode(line) for line in content.splitlines() if append_log.is_line_whole(line)]


def _count_waiting(before: int, review: Sequence[str], labels: Path) -> int | None:
    try:
        return before + len(review) - len(find_labelled_ids(labels, review))
    except sqlite3.Error:
        return None
