"""Scoring of everything that is asked for: the tables are found, dealt to processes, and each gets its receipt."""

import contextlib
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

from flows.steps.score.live_versions import follow_live_versions
from flows.steps.score.outputs.answer_details import DetailsMissing
from flows.steps.score.outputs.output_files import has_file, write_outputs
from flows.steps.score.outputs.output_places import require_writable
from flows.steps.score.parts.input_tables import estimate_parts
from flows.steps.score.parts.part_scoring import PartScorer
from flows.steps.score.parts.record_check import RowsRefused
from flows.steps.score.process_pool import open_process_pool, score_in_process
from flows.steps.score.replaced_processes import MEMORY_ADVICE, Attempt, ProcessEnds
from flows.steps.score.score_order import ScoreOrder, ScoreRefused, describe_refusal
from flows.steps.score.shared_parts import SharedParts
from flows.steps.score.spooled_query import spool_query
from flows.steps.score.table_job import TableJob, TableReceipt, complete_table, remove_parts
from flows.steps.score.table_parts import publish_parts, score_lane
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.core.text.masking import mask_address
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle
from penumbra.sources.tables.plain_files import open_plain_file
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_store import PATIENCE_SECONDS
from penumbra.storage.work_lock import WorkInProgress
from service.inference.runs.frame_scoring import NoLiveModel

PARTS_PER_PROCESS = 4  # of a table at least, as a process takes a while to begin
POLL_SECONDS, AWAY_SECONDS = 0.2, 5.0


class ScorerEnded(RuntimeError):
    """A process that scored was ended from outside; says which table, and what may help."""


SCORE_ERRORS = (
    *(ScoreRefused, ScorerEnded, RowsRefused, NoLiveModel, WorkInProgress, SettingsError, ProblemError),
    *(BrokenBundle, UnfitBundle, OSError, ValueError),
)
ProgressHandler = Callable[[int, int], object]  # takes how many parts are done, of about how many
TABLE_ERRORS = (WorkInProgress, ConnectionError, FileNotFoundError, ValueError)
RUN_ERRORS = (BrokenBundle, DetailsMissing, LeaseLost)  # those among them that every table would have


def score_share(
    settings: Settings, problem: Problem, order: ScoreOrder, tables: Sequence[TableJob], shares: int
) -> tuple[list[tuple[TableReceipt, bool]], list[str]]:
    """Score one share of the tables as a task of the flow, with the live model.

    Args:
        settings: As for `score_tables`, and [cluster].
        problem: The problem, with schema, features and rules.
        order: How the tables are written.
        tables: The share.
        shares: How many shares are scored side by side on one machine.

    Returns:
        The receipt of each table, and whether it was scored now; and why others can't be scored.

    Raises:
        Exception: One of `SCORE_ERRORS`, where no table can be scored.
        OSError: A file can't be written.
        StoreError: The store of what machines share refuses, or is away.
    """
    processes = max(1, (os.cpu_count() or 1) // (1 if settings.cluster.state else shares))
    refused, attempt = list[str](), Attempt(is_apart=True)
    with follow_live_versions(settings, problem):
        scored = score_tables(settings, problem, order, tables, processes, refused=refused, attempt=attempt)
        return list(scored), refused


def score_tables(
    settings: Settings,
    problem: Problem,
    order: ScoreOrder,
    tables: Sequence[TableJob],
    processes: int = 1,
    report: ProgressHandler = lambda done, total: None,
    refused: list[str] | None = None,
    attempt: Attempt | None = None,
) -> Iterator[tuple[TableReceipt, bool]]:
    """Score tables one after the other, and write the output and the receipt of each.

    Where machines share their state, a table whose place can't be reached is tried again after the others, for as long
    as a store that is away.

    Args:
        settings: Sections [score], [service], [rules], [registry] and [promotion] are read, and [cluster]: where
            machines share their state, the entries of a table are logged, and shipped, once all its parts are done.
        problem: The problem, with schema, features and rules.
        order: How the tables are written.
        tables: The tables.
        processes: How many processes score the parts of a table.
        report: Is told how many parts are done, of about how many.
        refused: Gets a sentence for each table that can't be scored, for what another one needn't have, while the
            others are; None where the first such table ends it.
        attempt: Which process this is of those that score in place of each other, if it is one.

    Yields:
        The receipt of each table, and whether it was scored now; else it was before.

    Raises:
        ScoreRefused: A table is done, and its output is gone.
        OutputRefused: The output can't be written.
        Exception: Another one of `SCORE_ERRORS`, where a table can't be scored; those before it are done.
        LeaseLost: This machine was silent for too long, and another one scores a table now.
        OSError: A file can't be written.
        StoreError: The store of what machines share refuses, or is away.
    """
    shared = SharedParts.from_settings(settings, order.job)
    with _ScoringRun(settings, problem, order, processes, shared is not None, attempt or Attempt()) as run:
        pending, end = list(tables), math.inf
        while pending:
            away = list[TableJob]()
            for table in pending:
                try:
                    yield _score_table(run, table, report, shared)
                except RUN_ERRORS:
                    raise
                except TABLE_ERRORS as error:
                    if refused is None:
                        raise
                    if shared and isinstance(error, ConnectionError) and time.monotonic() < end:
                        away.append(table)
                    else:
                        refused.append(describe_refusal(table.title, error))
            if pending := away:
                end = min(end, time.monotonic() + PATIENCE_SECONDS)
                time.sleep(AWAY_SECONDS)


def _score_table(
    run: "_ScoringRun", table: TableJob, report: ProgressHandler, shared: SharedParts | None
) -> tuple[TableReceipt, bool]:
    with table.hold():
        if (receipt := _find_kept_receipt(table)) is None:
            require_writable(table.output)
            with shared.hold(table) if shared else contextlib.nullcontext() as lease:
                receipt = _find_kept_receipt(table)
                if receipt is None:
                    _score_parts(run, table, report, shared)
                    if shared and lease:
                        shared.publish(table, lease)
                    receipt = complete_table(table, write_outputs(table))
        return receipt, not table.is_done


def _score_parts(run: "_ScoringRun", table: TableJob, report: ProgressHandler, shared: SharedParts | None) -> None:
    """Score all parts; of a table that is refused for its rows nothing stays that can't count any more.

    A file goes on where each part was logged at once, as it may be mended by other settings; a query is run anew.
    """
    try:
        run.score(table, report)
    except RUN_ERRORS:
        raise
    except ValueError:
        if shared:
            shared.drop(table)
        if shared or table.file is None:
            table.forget()
        raise


def _find_kept_receipt(table: TableJob) -> TableReceipt | None:
    """The receipt of a table that is done. Raises ScoreRefused where its output is gone."""
    if receipt := table.find_receipt():
        remove_parts(table)
        if not has_file(receipt.output):
            raise ScoreRefused(
                f"{table.title} was scored on {receipt.time:%Y-%m-%d %H:%M} UTC, and its output "
                f"{mask_address(receipt.output)} is gone: --again scores it anew"
            )
    return receipt


class _ScoringRun(contextlib.ExitStack):
    """The processes that score, begun by the first table that is large enough for several."""

    def __init__(
        self, settings: Settings, problem: Problem, order: ScoreOrder, processes: int, is_shared: bool, attempt: Attempt
    ) -> None:
        super().__init__()
        self._logs = None if is_shared else settings.service.predictions
        self._attempt, self._ends = attempt, ProcessEnds(settings.service.state)
        self._settings, self._problem, self._order, self._processes = settings, problem, order, processes
        self._opened: PartScorer | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._children: Sequence[BaseProcess] = ()

    def score(self, table: TableJob, report: ProgressHandler) -> None:
        """Score all parts of a table that aren't done."""
        with tempfile.TemporaryDirectory(dir=table.folder, prefix=".copy-") as copies:
            path = self._open_table(table, Path(copies))
            if self._logs:
                publish_parts(table, self._logs)
            expected = estimate_parts(path, table.name, table.begun.part_rows)
            lanes = max(1, min(self._processes, expected // PARTS_PER_PROCESS))
            is_here = lanes == 1 and not self._attempt.is_apart
            work = self._score_here(table, path) if is_here else self._score_beside(table, path, lanes)
            for done in work:
                report(done, max(done, expected))

    def _open_table(self, table: TableJob, copies: Path) -> Path:
        if table.file is None:
            return spool_query(self._order.database, self._order.source, table.folder)
        return open_plain_file(table.file, self._order.encoding, copies)

    def _score_here(self, table: TableJob, path: Path) -> Iterator[int]:
        done = len(table.list_done())
        yield done
        for count, _ in enumerate(score_lane(self._open_scorer(), table, path, self._order.layout, self._logs), 1):
            yield done + count

    def _score_beside(self, table: TableJob, path: Path, lanes: int) -> Iterator[int]:
        """Score in processes; in other ones where one of them was ended by what it scored."""
        is_done = False
        while not is_done:
            try:
                yield from self._score_in_pool(table, path, lanes)
                is_done = True
            except BrokenProcessPool:
                if not self._replace_pool():
                    raise ScorerEnded(f"a process that scored {table.title} {MEMORY_ADVICE}") from None

    def _score_in_pool(self, table: TableJob, path: Path, lanes: int) -> Iterator[int]:
        pool = self._pool = self._pool or self._open_pool()
        given = table, path, self._order.layout, self._logs
        jobs = [pool.submit(score_in_process, *given, (lane, lanes)) for lane in range(lanes)]
        self._children = multiprocessing.active_children()
        pending: set[Future[None]] = set(jobs)
        try:
            while pending:
                finished, pending = wait(pending, POLL_SECONDS)
                for job in finished:
                    job.result()
                yield len(table.list_done())
        finally:
            wait(pending)  # as they read the table

    def _open_scorer(self) -> PartScorer:
        if self._opened is None:
            self._opened = PartScorer(self._settings, self._problem, self._order.options, self._attempt)
        return self._opened

    def _open_pool(self) -> ProcessPoolExecutor:
        given = self._settings, self._processes, self._order.options, self._attempt.is_another
        return self.enter_context(open_process_pool(*given))

    def _replace_pool(self) -> bool:
        """Let other processes go on where those of the pool were ended by what they scored; returns whether they do."""
        if self._pool:
            self._pool.shutdown()
        self._pool, self._attempt = None, self._attempt._replace(is_another=True)
        return self._ends.learn({child.pid or 0: child.exitcode or 0 for child in self._children})
