"""Simulated reviewers: they answer the day's cases as people would on the page, some of them wrongly."""

import contextlib
import datetime as dt
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.measures.error_rates import compute_decision_errors
from penumbra.reviews.measures.summary import read_independent_targets
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ActionKind, ReviewAction
from penumbra.reviews.selection.case_picker import pick_cases
from penumbra.reviews.selection.degraded_slices import read_degraded_slices
from penumbra.reviews.selection.sampling import FloatArray
from penumbra.simulation.replay.traffic import TrafficDay

REVIEWERS = ("reviewer 1", "reviewer 2", "reviewer 3")  # the third decides where the other two differ
VIA_REPLAY = "replay"

RowLabels = list[dict[str, Any]]


def review_day(settings: Settings, problem: Problem, day: TrafficDay, answers: pl.DataFrame) -> dict[str, Any]:
    """Pick a day's cases, and have them answered; what was done before a kill is not done again.

    Args:
        settings: Those of the replay's folder; of section [replay] `reviews_per_day`, `reviewer_error` and `seed`.
        problem: The problem.
        day: The rows of the day.
        answers: The answers to them, in their order: id, output and decision, as `read_day_answers` returns them.

    Returns:
        Plain JSON: "cases" (how many were picked), "reasons" and "statuses" (how many of them have which), "targets"
        (of each case that two people were asked about, what each said), and "contradicted" (how many labels of people
        the outcome says to be wrong). Of the errors that `compute_decision_errors` defines: "picked" (of each case its
        chance of being picked, whether a rule deferred it, and its error by people, None where they couldn't tell),
        "error" (the sum over all rows with an outcome) and "known" (how many those are).
    """
    rows, seed = {name: row for row, name in enumerate(answers["id"])}, [settings.replay.seed, day.date.toordinal()]
    slices = read_degraded_slices(settings.monitor.folder)
    draw = functools.partial(_draw_uniforms, rows, seed)
    pick_cases(settings, problem, settings.replay.reviews_per_day, None, slices, draw)
    error, numbers = settings.replay.reviewer_error, range(len(REVIEWERS))
    people = [simulate_labels(day, error, np.random.default_rng([*seed, number])) for number in numbers]
    done = _work_off_queue(settings, problem, people, rows)
    spec = LabelSpec.from_schema(problem.schema)
    places = [rows[state.case.prediction] for state in done]
    return _count_cases(done, spec) | _list_errors(done, places, spec, day.truth, answers["decision"])


def simulate_labels(day: TrafficDay, error: float, rng: np.random.Generator) -> RowLabels:
    """Simulate what one person would answer to each row of a day.

    Args:
        day: The rows, with their outcomes.
        error: The chance that a row gets the outcome of another row of the day, whose target differs.
        rng: Decides which rows those are.

    Returns:
        The outcome columns with their values for each row; empty where there was no outcome, so that nobody can tell.
    """
    labels, truth = day.outcomes.to_dicts(), day.truth
    is_known = truth.is_not_null().to_numpy()
    is_wrong = (rng.random(len(labels)) < error) & is_known
    others = pl.Series(rng.permutation(len(labels)))
    rows = [_find_other(truth, others, row) if is_wrong[row] else row for row in range(len(labels))]
    return [labels[row] if known else {} for row, known in zip(rows, is_known, strict=True)]


def _find_other(truth: pl.Series, others: pl.Series, row: int) -> int:
    """Return the first of the `others` whose target is known and differs from that of a row, or else the row."""
    differing = others.filter((truth.gather(others) != truth[row]).fill_null(False))
    return int(differing[0]) if len(differing) else row


def _draw_uniforms(rows: Mapping[str, int], seed: Sequence[int], names: Sequence[str], key: str) -> FloatArray:
    """Draw a number for each row of a day by its place, as the ids are others in each replay."""
    uniforms = 1 - np.random.default_rng([*seed, *key.encode()]).random(len(rows))
    return uniforms[[rows[name] for name in names]]


def _work_off_queue(
    settings: Settings, problem: Problem, people: Sequence[RowLabels], rows: Mapping[str, int]
) -> list[CaseState]:
    """Have the cases among some rows answered; return their states."""
    states = ReviewQueue.read(settings.review.folder).states
    with contextlib.closing(ReviewDesk(settings, problem)) as desk:
        return [_work_off(desk, states[name], people, row) for name, row in rows.items() if name in states]


def _work_off(desk: ReviewDesk, state: CaseState, people: Sequence[RowLabels], row: int) -> CaseState:
    """Have a case answered until it needs nobody any more."""
    while action := _choose_action(state, people, row):
        state = desk.record(action)
    return state


def _choose_action(state: CaseState, people: Sequence[RowLabels], row: int) -> ReviewAction | None:
    """What is done next: two people take turns by the number of the row, and the third decides where they differ."""
    if state.status not in ("open", "conflict"):
        return None
    turns, kind = ([2], "adjudicate") if state.status == "conflict" else ([row % 2, 1 - row % 2], "answer")
    number = next(each for each in turns if REVIEWERS[each] not in state.actions)
    label, now = people[number][row], dt.datetime.now(dt.UTC)
    done: ActionKind = kind if label else "cannot_tell"  # type: ignore[assignment]
    return ReviewAction(state.case.prediction, REVIEWERS[number], done, now, label, via=VIA_REPLAY)


def _count_cases(states: Sequence[CaseState], spec: LabelSpec) -> dict[str, Any]:
    return {
        "cases": len(states),
        "reasons": Counter(reason for state in states for reason in state.case.reasons),
        "statuses": Counter(state.status for state in states),
        "targets": read_independent_targets(spec, states),
    }


def _list_errors(
    states: Sequence[CaseState], places: list[int], spec: LabelSpec, truth: pl.Series, decisions: pl.Series
) -> dict[str, Any]:
    errors = compute_decision_errors(decisions, truth.head(len(decisions)))
    said = spec.compute_targets([state.label or None for state in states])
    by_people = compute_decision_errors(decisions.gather(places), said)
    cases = [(state.case.probability, state.case.picked is not None) for state in states]
    return {
        "picked": [(*case, error) for case, error in zip(cases, by_people, strict=True)],
        "contradicted": int((said != truth.gather(places)).sum()),
        "error": float(errors.sum()),
        "known": len(errors) - errors.null_count(),
    }
