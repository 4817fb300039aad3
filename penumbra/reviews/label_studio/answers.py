"""Answers of people who work in Label Studio, recorded at the desk: each once, however often its file is imported.

An annotation that was changed in Label Studio since takes back what it said before. What was done on the review page
afterwards, and later versions of an annotation, stay as they are.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.label_studio.annotations import AnnotationOfCase, ReviewerNames, read_annotations
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ReviewAction


@dataclass(frozen=True)
class ImportedAnswers:
    """What an import did.

    Attributes:
        recorded: How many actions of each kind are new.
        known: How many annotations were recorded before.
        refused: Of each annotation that can't be recorded the place and the reason.
        ignored: The names of controls that aren't the labelling configuration's.
    """

    recorded: Mapping[str, int]
    known: int
    refused: tuple[str, ...]
    ignored: tuple[str, ...]

    def __str__(self) -> str:
        """Such as "recorded: 41 answer, 2 skip; known before: 3; refused: 1"."""
        recorded = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(self.recorded.items()))
        return f"recorded: {recorded or 'none'}; known before: {self.known}; refused: {len(self.refused)}"


def import_answers(settings: Settings, problem: Problem, path: Path, names: ReviewerNames) -> ImportedAnswers:
    """Record the answers of an export of Label Studio.

    Args:
        settings: The settings, with the logs' folders.
        problem: The problem.
        path: The file, in Label Studio's format JSON.
        names: Who the annotators are.

    Returns:
        What was recorded, what was known, and what was refused and why.

    Raises:
        ReviewRefused: The file isn't such an export; nothing was recorded.
        OSError: The file can't be read, or a log can't be written.
    """
    found = read_annotations(path, problem.schema, names)
    with closing(ReviewDesk(settings, problem)) as desk:
        results = [(each, _record_annotation(desk, settings.review.folder, each)) for each in found]
    return ImportedAnswers(
        Counter(result.kind for _, result in results if isinstance(result, ReviewAction)),
        sum(result is None for _, result in results),
        tuple(f"{each.place}: {result}" for each, result in results if isinstance(result, ReviewRefused)),
        tuple(sorted({name for each in found for name in each.ignored})),
    )


def _record_annotation(
    desk: ReviewDesk, folder: Path, annotation: AnnotationOfCase
) -> ReviewAction | ReviewRefused | None:
    """Record an annotation; return its action, why it is refused, or None where it is known."""
    action = annotation.action
    if isinstance(action, ReviewRefused):
        return action
    state = ReviewQueue.read(folder).states.get(action.case)
    try:
        if state and _is_known(state, action):
            return None
        if state and _is_changed(state, action):
            token = f"{action.token} undo"
            desk.record(ReviewAction(action.case, action.reviewer, "undo", action.time, via=action.via, token=token))
        desk.record(action)
    except ReviewRefused as error:
        return error
    return action


def _is_known(state: CaseState, action: ReviewAction) -> bool:
    """Whether this annotation was recorded before, or a later version of it, or what it says hasn't changed."""
    annotation, version = action.token.split(" ")
    recorded = [
        token[1] for each in state.history if (token := each.token.split(" "))[0] == annotation and len(token) == 2
    ]
    last = state.actions.get(action.reviewer)
    return any(other >= version for other in recorded) or (last is not None and action.is_same_answer(last))


def _is_changed(state: CaseState, action: ReviewAction) -> bool:
    """Whether the reviewer's last action is an earlier version of this annotation."""
    last = state.actions.get(action.reviewer)
    return last is not None and last.kind != "skip" and last.token.split(" ")[0] == action.token.split(" ")[0]
