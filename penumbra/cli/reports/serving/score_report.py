"""What `penumbra score` does on a terminal: it scores, and shows how far it is."""

import contextlib
import sys

import click

from flows.steps.score.live_versions import follow_live_versions
from flows.steps.score.receipts import ScoredTables
from flows.steps.score.replaced_processes import Attempt
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from flows.steps.score.shared_parts import SharedParts
from flows.steps.score.table_job import TableReceipt
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings

BAR_STEPS = 1000


def score_with_progress(
    settings: Settings, problem: Problem, order: ScoreOrder, processes: int, attempt: Attempt | None = None
) -> tuple[ScoredTables, list[str]]:
    """Score what is asked for, with a progress bar on a terminal.

    Args:
        settings: The settings.
        problem: The problem, with what scoring reads.
        order: What is to be scored.
        processes: How many processes score side by side.
        attempt: Which process this is of those that score in place of each other, if it is one.

    Returns:
        The receipt of each table, and whether it was scored now; and why others can't be scored.

    Raises:
        Exception: One of `SCORE_ERRORS`.
        OSError: A file can't be written.
    """
    refused, shared = list[str](), SharedParts.from_settings(settings, order.job)
    share = shared.share if shared else contextlib.nullcontext
    with share():
        tables = begin_tables(settings, order, refused)
    label, steps = "Scoring", len(tables) * BAR_STEPS
    with (
        share(),
        follow_live_versions(settings, problem),
        click.progressbar(length=steps, label=label, file=sys.stderr) as bar,
    ):
        finished, busy = list[tuple[TableReceipt, bool]](), len(refused)

        def report(done: int, total: int) -> None:
            bar.update((len(finished) + len(refused) - busy) * BAR_STEPS + BAR_STEPS * done // total - bar.pos)

        given = settings, problem, order, tables, processes, report, refused, attempt
        for scored in score_tables(*given):
            finished.append(scored)
            report(0, 1)
    if shared:
        shared.remove_done()
    return finished, refused
