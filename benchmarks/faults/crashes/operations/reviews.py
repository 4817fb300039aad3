"""The picking of cases for the review queue; and answers to them: the review log, then the label log."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.faults.crashes.operations.operation import Operation, make_settings

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def prepare_cases(folder: Path) -> None:
    """Log two predictions, and pick both: the first for one person to look at, the second for two."""
    from penumbra.reviews.records import ReviewBlock, ReviewCase
    from tests.helpers.logs import prediction_logs as logs

    names = logs.log_predictions(folder, logs.make_prediction(1), logs.make_prediction(2))
    cases = [ReviewCase(name, ["chance"], 0.5, reviewers) for reviewers, name in enumerate(names, 1)]
    block = ReviewBlock(NOON, {}, 2, 2, 2, {"chance": 2})
    logs.append_to_new_segment(folder / "reviews", [*cases, block])


def prepare_rows(folder: Path) -> None:
    """Log some predictions in two segments, one of which a rule defers to people and one of which has a label."""
    from msgspec.structs import replace

    from tests.helpers.logs import prediction_logs as logs

    deferred = replace(logs.make_prediction(21), pending=True, rules=["ask"], due=NOON, default=False)
    logs.log_predictions(folder, *map(logs.make_prediction, range(20)), deferred)
    logs.log_predictions(folder, *map(logs.make_prediction, range(30, 50)))
    logs.log_labels(folder, logs.make_label_by_key(3, 3))


def run_picking(folder: Path) -> None:
    """Pick eight rows, and the deferred one."""
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from penumbra.reviews.selection.case_picker import pick_cases

    pick_cases(make_settings(folder), load_problem(SERVED_PARTS), 8, NOON)


def describe_cases(folder: Path) -> Iterator[str]:
    """Yield a text for each case, and for each block."""
    from penumbra.reviews.queue import ReviewQueue

    queue = ReviewQueue.read(folder / "reviews", NOON)
    yield from (f"case: {state.case}" for state in queue.states.values())
    yield from (f"block: {block.rows} rows, {block.picked} picked, {block.spans}" for block in queue.blocks)


def run_answers(folder: Path) -> None:
    """Answer the first case, undo that and answer it anew, and let two people agree on the second.

    Each action has a token, as those of the page have, which sends again what it knows nothing of.
    """
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.reviews.desk import ReviewDesk
    from penumbra.reviews.queue import ReviewQueue
    from penumbra.reviews.records import ReviewAction

    settings = make_settings(folder)
    first, second = ReviewQueue.read(settings.review.folder).states
    actions = [
        ReviewAction(first, "ann", "answer", NOON, {"arr_delay": 42}),
        ReviewAction(first, "ann", "undo", NOON),
        ReviewAction(first, "ann", "answer", NOON, {"arr_delay": 5}),
        ReviewAction(second, "ann", "answer", NOON, {"arr_delay": 90}, "likely"),
        ReviewAction(second, "bob", "answer", NOON, {"arr_delay": 90}, "sure", "storm"),
    ]
    with closing(ReviewDesk(settings, load_problem(["schema"]))) as desk:
        for number, action in enumerate(actions):
            action.token = str(number)
            desk.record(action)


def describe_reviews(folder: Path) -> Iterator[str]:
    """Yield a text for each action, and for each label, in its log."""
    from penumbra.logs import append_log

    for entry in append_log.read_entries(folder / "reviews"):
        if entry["is"] == "action":
            yield f"action: {entry['token']} {entry['reviewer']} {entry['kind']} {entry.get('label')}"
    for entry in append_log.read_entries(folder / "labels"):
        said = [entry.get(name) for name in ("label", "reviewers", "reasons", "probability", "sureness", "note")]
        yield f"label: {said}"


OPERATIONS = {
    "pick": Operation(prepare_rows, run_picking, describe_cases, "case: ", ("penumbra.reviews.queue",)),
    "answer": Operation(prepare_cases, run_answers, describe_reviews, "label: ", ("penumbra.reviews.desk",)),
}
