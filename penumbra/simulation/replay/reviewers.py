"""Simulated reviewers: they answer the day's cases as people would on the page, some of them wrongly."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from penumbra.reviews.selection.case_picker import CasePicker
from penumbra.reviews.selection.degraded_slices import read_degraded_slices
from penumbra.reviews.selection.sampling import FloatArray
from penumbra.simulation.replay.traffic import TrafficDay

REVIEWERS = ("reviewer 1", "reviewer 2", "reviewer 3")  # the third decides where the other two differ
VIA_REPLAY = "replay"

RowLabels = Mapping[int, Mapping[str, Any]]


class SimulatedReviewers:
    """The reviewers of a replay; one picker and one desk serve all days, so that these write a segment each."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Prepare to review rows of the `problem`.

        Args:
            settings: Those of the replay's folder; of section [replay] `reviews_per_day`, `reviewer_error` and `seed`.
            problem: The problem.
        """
        self._settings, self._spec = settings, LabelSpec.from_schema(problem.schema)
        self._picker = CasePicker(settings, problem, lambda names, key: self._draw_uniforms(names, key))
        self._desk = ReviewDesk(settings, problem)
        self._rows: dict[str, int] = {}
        self._seed: list[int] = []

    def review_day(self, day: TrafficDay, answers: pl.DataFrame) -> dict[str, Any]:
        """Pick a day's cases, and have them answered; what was done before a kill is not done again.

        Args:
            day: The rows of the day.
            answers: The answers to them, in their order: id, output and decision, as `read_day_answers` returns them.

        Returns:
            Plain JSON: "cases" (how many were picked), "reasons" and "statuses" (how many of them have which),
            "targets" (of each case that two people were asked about, what each said), and "contradicted" (how many
            labels of people the outcome says to be wrong). Of the errors that `compute_decision_errors` defines:
            "picked" (of each case its chance of being picked, whether a rule deferred it, and its error by people, None
            where they couldn't tell), "error" (the sum over all rows with an outcome) and "known" (how many those are).
        """
        settings, numbers = self._settings, range(len(REVIEWERS))
        self._rows = {name: row for row, name in enumerate(answers["id"])}
        self._seed = [settings.replay.seed, day.date.toordinal()]
        self._picker.pick_deferred()
        self._picker.pick(settings.replay.reviews_per_day, slices=read_degraded_slices(settings.monitor.folder))
        picked = ReviewQueue.read(settings.review.folder).states
        states = {name: picked[name] for name in self._rows if name in picked}
        error, asked = settings.replay.reviewer_error, [self._rows[name] for name in states]
        rngs = [np.random.default_rng([*self._seed, number]) for number in numbers]
        done = self._work_off(states, [simulate_labels(day, error, rng, asked) for rng in rngs])
        places = [self._rows[state.case.prediction] for state in done]
        return _count_cases(done, self._spec) | _list_errors(done, places, self._spec, day.truth, answers["decision"])

    def close(self) -> None:
        """Close the segments of the logs that are open."""
        self._picker.close()
        self._desk.close()

    def _draw_uniforms(self, names: Sequence[str], key: str) -> FloatArray:
        """Draw a number for each row of a day by its place, as the ids are others in each replay."""
        uniforms = 1 - np.random.default_rng([*self._seed, *key.encode()]).random(len(self._rows))
        return uniforms[[self._rows[name] for name in names]]

    def _work_off(self, states: dict[str, CaseState], people: Sequence[RowLabels]) -> list[CaseState]:
        """Have cases answered until they need nobody any more; return their states."""
        while actions := self._choose_actions(states.values(), people):
            states |= {state.case.prediction: state for state in self._desk.record_all(actions)}
        return [*states.values()]

    def _choose_actions(self, states: Iterable[CaseState], people: Sequence[RowLabels]) -> list[ReviewAction]:
        """What is done next, with each case that needs somebody yet."""
        chosen = [_choose_action(state, people, self._rows[state.case.prediction]) for state in states]
        return [action for action in chosen if action]


def simulate_labels(
    day: TrafficDay, error: float, rng: np.random.Generator, rows: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Simulate what one person would answer to rows of a day.

    Args:
        day: The rows, with their outcomes.
        error: The chance that a row gets the outcome of another row of the day, whose target differs.
        rng: Decides which rows of the day those are.
        rows: The numbers of the rows that are answered.

    Returns:
        By row the outcome columns with their values; empty where there was no outcome, so that nobody can tell.
    """
    outcomes, truth = day.outcomes, day.truth
    is_known = truth.is_not_null().to_numpy()
    is_wrong = (rng.random(len(truth)) < error) & is_known
    others = pl.Series(rng.permutation(len(truth)))
    given = {row: _find_other(truth, others, row) if is_wrong[row] else row for row in rows}
    return {row: outcomes.row(of, named=True) if is_known[row] else {} for row, of in given.items()}


def _find_other(truth: pl.Series, others: pl.Series, row: int) -> int:
    """Return the first of the `others` whose target is known and differs from that of a row, or else the row."""
    differing = others.filter((truth.gather(others) != truth[row]).fill_null(False))
    return int(differing[0]) if len(differing) else row


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
