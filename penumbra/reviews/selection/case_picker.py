"""The selection policy: which rows of the prediction log people look at, with the chance that each had.

Rows are taken in blocks: a block is what arrived since the last one, and its rows are picked by one draw whose chances
are recorded (see sampling.py). A block is closed only when at least one whole row may be picked of it, and with a
weight above 0 for each, so no row is ever without a chance; what is left of the budget is carried over. By the clock it
isn't closed before eight may be picked, or a day's budget where that is less: of a draw of a row or two the chances
vary so much that an error rate's interval is two to three times as wide.

A row that a rule defers to people is always picked, and at once: it takes part in no draw, and counts against the
budget of the next block, of which the share of chance stays whatever is deferred, so that measuring goes on.
"""

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penumbra.core.histograms import DegradedSlice
from penumbra.core.problem import Problem
from penumbra.core.settings import ReviewSettings, Settings
from penumbra.logs.append_log import LogWriter, encode_json, read_tail
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.line_decoding import blank_damaged_lines, decode_each_line
from penumbra.logs.queries.lookup import find_labelled_ids, find_reported_ids, find_shared_keys
from penumbra.logs.replicas.heartbeats import count_known_replicas
from penumbra.logs.schema import DeferredPrediction
from penumbra.logs.segments import read_own_segment_sizes
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.records import ReviewBlock, ReviewCase, ReviewClosure
from penumbra.reviews.selection.needs import NeedFinder
from penumbra.reviews.selection.review_budget import compute_budget, compute_least_budget, count_deferred
from penumbra.reviews.selection.sampling import FloatArray, PriorityDraw, hash_uniforms
from penumbra.rules import Defer
from penumbra.storage.locks import hold_file_lock

MAX_BLOCK_BYTES = 1 << 28  # so that a pass over a long log takes seconds; the rest is for the next block
PICK_KEY, DOUBLE_KEY = "pick", "double"  # of the hashes of ids that the two draws go by
PENDING_MARK = b'"pending":true'
CHANCE_REASON = "chance"
LOCK_FILE = "pick.lock"

UniformSource = Callable[[Sequence[str], str], FloatArray]  # of ids and a key, as `hash_uniforms`


class CasePicker:
    """Picks cases, and closes those that nobody needs to be asked about; one at a time over all processes."""

    def __init__(self, settings: Settings, problem: Problem, draw_uniforms: UniformSource = hash_uniforms) -> None:
        """Prepare to pick rows of the `problem`, with the `settings` of logs, index, bundles and reviews."""
        self._settings, self._problem, self._draw_uniforms = settings, problem, draw_uniforms
        self._index = LogIndex.from_settings(settings, problem.schema)
        self._writer = LogWriter(settings.review.folder, hours=settings.limit_segment_hours(24))
        self._scanned: dict[Path, int] | None = None
        self._is_deferring = any(isinstance(rule.then, Defer) for rule in problem.rules.RULES)

    def pick(
        self, budget: float | None = None, now: dt.datetime | None = None, slices: Sequence[DegradedSlice] = ()
    ) -> ReviewBlock | None:
        """Pick among the rows that arrived since the last block.

        Args:
            budget: How many rows may be picked beside those left over from the last block; None for `review.per_day`
                by the time since then.
            now: The time (UTC); the clock's by default.
            slices: The slices whose loss has risen.

        Returns:
            The block; None where nothing is new, no whole row may be picked yet, or by the clock not yet eight.

        Raises:
            OSError: A log can't be read, or the review log can't be written; nothing is picked then.
            sqlite3.Error: The index can't be read.
            DamagedArchive: The archive of a log is damaged.
        """
        now = now or dt.datetime.now(dt.UTC)
        with self._hold_queue(now) as queue:
            own, review = self._read_own(queue), self._share_budget()
            available = compute_budget(own, review, budget)
            if available < compute_least_budget(review, budget):
                return None
            draw = PriorityDraw(int(available), self._settings.review.chance_share)
            spans, deferred, labelled = self._draw(draw, queue, own, slices)
            if not spans:
                return None
            cases = [self._make_case(*row) for row in draw.finish()]
            rows, counts = sum(draw.rows.values()), _count_reasons(draw.rows)
            number = own.blocks[-1].number + 1 if own.blocks else 0
            owed = count_deferred(own)
            block = ReviewBlock(now, spans, rows, len(cases), available, counts, owed, number, labelled)
            self._write([*_make_deferred_cases(deferred, queue, now), *cases, block])
            return block

    def pick_deferred(self, now: dt.datetime | None = None) -> int:
        """Pick the rows that a rule defers to people, of those that arrived since the last call.

        Without such a rule only the first call reads the log: what a rule that is gone by now has deferred.

        Args:
            now: The time (UTC); the clock's by default.

        Returns:
            How many there were.

        Raises:
            OSError: A log can't be read, or the review log can't be written; nothing is picked then.
        """
        if not self._is_deferring and (self._scanned is not None or self._settings.review.per_day <= 0):
            return 0  # with nobody to ask no block follows on another: each start would read the log from its beginning
        now, folder = now or dt.datetime.now(dt.UTC), self._settings.review.folder
        scanned = self._find_start(ReviewQueue.read(folder, own=True)) if self._scanned is None else dict(self._scanned)
        rows: list[DeferredPrediction] = []
        for path, start, content in _read_pieces(self._settings.service.predictions, dict(scanned)):
            rows += _find_deferred(content)
            scanned[path] = start + len(content)
        written = self._write_deferred(rows, now) if rows else 0
        self._scanned = scanned
        return written

    def close_reported(self, now: dt.datetime | None = None) -> int:
        """Close the cases that people have yet to decide and whose outcome has arrived by feedback or a batch.

        Those that decide a pending answer stay: it waits for people.

        Args:
            now: The time (UTC); the clock's by default.

        Returns:
            How many there were.

        Raises:
            OSError: A log can't be read, or the review log can't be written.
            sqlite3.Error: The index can't be read.
        """
        now = now or dt.datetime.now(dt.UTC)
        with self._hold_queue(now) as queue:
            names = [state.case.prediction for state in queue.list_unfinished() if not state.case.due]
            if not names:
                return 0
            self._index.catch_up()
            reported = find_reported_ids(self._settings.labels.folder, names)
            closures = [ReviewClosure(name, now) for name in names if name in reported]
            if closures:
                self._write(closures)
            return len(closures)

    def close(self) -> None:
        """Close the segment of the review log that this picker writes."""
        self._writer.close()

    @contextlib.contextmanager
    def _hold_queue(self, now: dt.datetime) -> Iterator[ReviewQueue]:
        """The queue as it is while nobody else can pick."""
        folder = self._settings.review.folder
        folder.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(folder / LOCK_FILE):
            yield ReviewQueue.read(folder, now)

    def recover(self) -> None:
        """Close the segment of the review log that this picker writes, if it is old."""
        self._writer.recover()

    def _read_own(self, queue: ReviewQueue) -> ReviewQueue:
        """What was picked here: each replica picks among its own answers."""
        is_shared = bool(self._settings.cluster.state)
        return ReviewQueue.read(self._settings.review.folder, queue.now, own=True) if is_shared else queue

    def _share_budget(self) -> ReviewSettings:
        """The settings with a replica's share of the rows that people look at in a day."""
        review, replicas = self._settings.review, count_known_replicas(self._settings.service.predictions)
        return review.model_copy(update={"per_day": review.per_day / replicas}) if replicas > 1 else review

    def _draw(
        self, draw: PriorityDraw, queue: ReviewQueue, own: ReviewQueue, slices: Sequence[DegradedSlice]
    ) -> tuple[dict[str, tuple[int, int]], list[DeferredPrediction], int]:
        """Let the new rows take part; return their spans, and of these the rows that don't: those that a rule deferred,
        and the number of those that have a label."""
        service, spans, deferred = self._settings.service, dict[str, tuple[int, int]](), list[DeferredPrediction]()
        labels, count = self._settings.labels.folder, 0
        sizes = read_own_segment_sizes(service.predictions)
        self._index.catch_up()
        finder = NeedFinder(self._settings, self._problem, self._index, slices)
        undecided = [name for name, state in queue.states.items() if not state.decided]
        asked = set(find_shared_keys(labels, undecided).values())
        for path, start, content in _read_pieces(service.predictions, self._find_start(own), sizes):
            rows = [row for row in finder.read(content) if not row.pending and row.id not in queue.states]
            labelled = find_labelled_ids(labels, [row.id for row in rows])
            labelled -= {row.id for row in rows if row.explored}  # theirs came of chance, which must change no draw
            names = self._select_unasked([row.id for row in rows if row.id not in labelled], asked)
            rows, count = [row for row in rows if row.id in names], count + len(labelled)
            draw.add([*names], finder.find_reasons(rows), self._draw_uniforms([*names], PICK_KEY))
            spans[path.stem] = spans.get(path.stem, (start, 0))[0], start + len(content)
            deferred += _find_deferred(content)
        return spans, deferred, count

    def _select_unasked(self, names: Sequence[str], asked: set[str]) -> dict[str, None]:
        """Of each key of these rows one that wasn't `asked` about, to which theirs are added."""
        keys, selected = find_shared_keys(self._settings.labels.folder, names), dict[str, None]()
        for name in names:
            if keys.get(name) not in asked:
                selected[name] = None
                asked.update(filter(None, [keys.get(name)]))
        return selected

    def _find_start(self, queue: ReviewQueue) -> dict[Path, int]:
        folder = self._settings.service.predictions
        return {folder / f"{segment}.jsonl": position for segment, position in queue.taken.items()}

    def _make_case(self, name: str, reasons: Sequence[str], probability: float) -> ReviewCase:
        is_double = self._draw_uniforms([name], DOUBLE_KEY)[0] <= self._settings.review.double_share
        return ReviewCase(name, reasons or [CHANCE_REASON], probability, 2 if is_double else 1)

    def _write_deferred(self, rows: Sequence[DeferredPrediction], now: dt.datetime) -> int:
        with self._hold_queue(now) as queue:
            cases = _make_deferred_cases(rows, queue, now)
            if cases:
                self._write(cases)
            return len(cases)

    def _write(self, entries: Sequence[ReviewCase | ReviewBlock | ReviewClosure]) -> None:
        self._writer.recover()
        self._writer.append([encode_json(entry) for entry in entries])


def pick_cases(
    settings: Settings,
    problem: Problem,
    budget: float | None = None,
    now: dt.datetime | None = None,
    slices: Sequence[DegradedSlice] = (),
) -> ReviewBlock | None:
    """Close the cases whose outcome has arrived; then pick what is new, first the rows that a rule defers to people.

    Args:
        settings: The settings of logs, index, bundles and reviews.
        problem: The problem, with schema, features and rules.
        budget: As in `CasePicker.pick`.
        now: The time (UTC); the clock's by default.
        slices: The slices whose loss has risen.

    Returns:
        The block that was drawn; None where nothing is new, or no whole row may be picked yet.

    Raises:
        OSError: A log can't be read, or the review log can't be written.
        sqlite3.Error: The index can't be read.
        DamagedArchive: The archive of a log is damaged.
    """
    with contextlib.closing(CasePicker(settings, problem)) as picker:
        picker.close_reported(now)
        picker.pick_deferred(now)
        return picker.pick(budget, now, slices)


def _count_reasons(rows: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for combination, number in rows.items():
        counts.update(dict.fromkeys(combination or (CHANCE_REASON,), number))
    return dict(counts)


def _read_pieces(
    folder: Path, starts: Mapping[Path, int], sizes: Mapping[Path, int] | None = None
) -> Iterator[tuple[Path, int, bytes]]:
    """Read a log on from these positions, some megabytes at a time, up to the end or to these sizes, if they are given:
    segment, position, and whole lines. With sizes no more than a block's worth."""
    read = 0
    for path, size in (read_own_segment_sizes(folder) if sizes is None else sizes).items():
        position = starts.get(path, 0)
        while position < size and (sizes is None or read < MAX_BLOCK_BYTES):
            content = read_tail(path, position)
            if not content:
                break
            yield path, position, content
            position, read = position + len(content), read + len(content)


def _find_deferred(content: bytes) -> list[DeferredPrediction]:
    if PENDING_MARK not in content:
        return []
    marked = blank_damaged_lines([line for line in content.split(b"\n") if PENDING_MARK in line])
    return [row for row in decode_each_line(_deferred_decoder, marked) if row is not None and row.pending]


def _make_deferred_cases(rows: Sequence[DeferredPrediction], queue: ReviewQueue, now: dt.datetime) -> list[ReviewCase]:
    """Those of the rows that are no cases yet."""
    return [
        ReviewCase(row.id, [f"rule {name}" for name in row.rules], 1.0, 1, row.due, row.default, now)
        for row in rows
        if row.id not in queue.states
    ]


_deferred_decoder: Any = msgspec.json.Decoder(DeferredPrediction)
