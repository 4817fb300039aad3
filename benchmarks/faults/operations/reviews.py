"""Answers to cases of the review queue: the review log, then the label log."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.faults.operations.operation import Operation, make_settings

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def prepare_cases(folder: Path) -> None:
    """Log two predictions, and pick both: the first for one person to look at, the second for two."""
    from penumbra.reviews.records import ReviewBlock, ReviewCase
    from tests.helpers import prediction_logs as logs

    names = logs.log_predictions(folder, logs.make_prediction(1), logs.make_prediction(2))
    cases = [ReviewCase(name, ["chance"], 0.5, reviewers) for reviewers, name in enumerate(names, 1)]
    block = ReviewBlock(NOON, {}, 2, 2, 2, {"chance": 2})
    logs.append_to_new_segment(folder / "reviews", [*cases, block])


def run_answers(folder: Path) -> None:
    """Answer the first case, undo that and answer it anew, and let two people agree on the second.

    Each action has a token, as those of the page have, which sends again what it knows nothing of.
    """
    from penumbra.core.problem_loading import load_problem
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
    "answer": Operation(prepare_cases, run_answers, describe_reviews, "label: ", ("penumbra.reviews.desk",)),
}
