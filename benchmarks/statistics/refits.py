"""Drift of the predictions of refitted models where nothing drifts: `penumbra bench refits`.

A recipe learns from the days before the reference and scores it; then it learns from the reference, too, and answers.
The weeks that it answers are compared with the bundle's reference, scored by the fit before, and with its own first
days. Both comparisons are the same test at the same budget; they differ in whose scores they compare with.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from monitoring.drift.column_drift import compute_drift, list_recent_profiles
from monitoring.drift.window_drift import ModelProfiles, compute_window_drift
from monitoring.permutation import count_memory_days
from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles
from penumbra.core.text.tables import format_table

MODELS, WEEKS, ROWS = 12, 200, 200  # of each recipe, of each model, of each day
LEARNT_DAYS, REFERENCE_DAYS, WEEK, BUDGET = 60, 28, 7, 300
CHANGED_WEEK, FACTOR = 30, 1.3
FIRST = dt.date(2000, 1, 1)
RECIPES: dict[str, Callable[[], Any]] = {
    "tree of depth 5": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "boosting, 20 trees": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "boosting, default": lambda: HistGradientBoostingClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(min_samples_leaf=5, random_state=0),
    "logistic regression": lambda: LogisticRegression(),
}


def main() -> None:
    """Print how often weeks are drift of the predictions, and how soon scores times 1.3 are."""
    rows = [_judge_recipe(name) for name in RECIPES]
    print(
        f"Weeks whose predictions are beyond their threshold, where 1 in {BUDGET} is promised: {MODELS} models of\n"
        f"each recipe, {WEEKS} weeks of each; and models whose scores times {FACTOR} are seen"
    )
    print(format_table(pl.DataFrame(rows)))


def _judge_recipe(name: str) -> dict[str, str | float]:
    calm = [judge_model(name, seed, WEEKS) for seed in range(MODELS)]
    rates = [np.mean([each[side] for each in calm], axis=1) for side in (0, 1)]
    changed = [judge_model(name, seed, CHANGED_WEEK + 8, CHANGED_WEEK)[1][CHANGED_WEEK:] for seed in range(MODELS)]
    return {
        "recipe": name,
        "the bundle's reference": f"{rates[0].mean():.3f}",
        "worst model": f"{rates[0].max():.3f}",
        "its own first days": f"{rates[1].mean():.4f}",
        "worst model ": f"{rates[1].max():.3f}",
        "times 1.3: first week": f"{np.mean([each[0] for each in changed]):.2f}",
        "within 8": f"{np.mean([any(each) for each in changed]):.2f}",
    }


def judge_model(name: str, seed: int, weeks: int, changed: int | None = None) -> tuple[list[bool], list[bool]]:
    """Judge the predictions of the weeks that a model answers.

    Args:
        name: The recipe, one of `RECIPES`.
        seed: Seed of the rows.
        weeks: How many weeks there are.
        changed: The week, from 0, from which on scores are multiplied by `FACTOR`; None for none.

    Returns:
        Of each week whether its predictions are beyond their threshold: compared with the bundle's reference, and with
        the version's own first days.
    """
    before, final = RECIPES[name](), RECIPES[name]()
    inputs, labels = draw_days(LEARNT_DAYS + REFERENCE_DAYS, seed)
    held_out = LEARNT_DAYS * ROWS
    before.fit(inputs[:held_out], labels[:held_out])
    final.fit(inputs, labels)
    reference = _make_frame(before.predict_proba(inputs[held_out:])[:, 1], FIRST - dt.timedelta(days=REFERENCE_DAYS))
    scores = final.predict_proba(draw_days(weeks * WEEK, seed + 1000)[0])[:, 1]
    if changed is not None:
        scores[changed * WEEK * ROWS :] *= FACTOR
    binning = Binning.learn(reference, [])
    usual = compute_daily_profiles(reference, binning, DAY_COLUMN)
    scored = compute_daily_profiles(_make_frame(scores, FIRST), binning, DAY_COLUMN)
    profiles = ModelProfiles(binning, usual, scored, scored)
    return [*_judge_by_reference(profiles, weeks)], [*_judge_by_own_days(profiles, weeks)]


def draw_days(days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw days that could stand in any order, each with a weather of its own.

    Args:
        days: How many days.
        seed: Seed of the draws.

    Returns:
        Inputs, float64 [days * ROWS, 6], and labels, bool [days * ROWS].
    """
    random = np.random.default_rng(seed)
    weather = np.repeat(random.normal(0, 0.3, (days, 6)), ROWS, axis=0)
    inputs = weather + random.standard_normal((days * ROWS, 6))
    odds = inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + np.abs(inputs[:, 3]) - 2
    return inputs, random.random(len(odds)) < 1 / (1 + np.exp(-odds))


def _make_frame(scores: np.ndarray, first: dt.date) -> pl.DataFrame:
    days = pl.Series(DAY_COLUMN, [first + dt.timedelta(days=day) for day in range(len(scores) // ROWS)])
    return pl.DataFrame({PREDICTION_COLUMN: scores, DAY_COLUMN: days.gather(np.arange(len(scores)) // ROWS)})


def _judge_by_own_days(profiles: ModelProfiles, weeks: int) -> Iterator[bool]:
    for begin in _list_weeks(weeks):
        yield compute_window_drift(profiles, begin, WEEK, BUDGET).result.ratio > 1


def _judge_by_reference(profiles: ModelProfiles, weeks: int) -> Iterator[bool]:
    usual = list(profiles.reference.values())
    for begin in _list_weeks(weeks):
        recent = list_recent_profiles(_select_memory(profiles, begin), begin + dt.timedelta(days=WEEK))
        yield compute_drift(recent, usual, profiles.binning, BUDGET, WEEK).ratio > 1


def _select_memory(profiles: ModelProfiles, begin: dt.date) -> dict[dt.date, Profile]:
    end = begin + dt.timedelta(days=WEEK)
    first = end - dt.timedelta(days=count_memory_days(WEEK))
    return {day: each for day, each in profiles.answered.items() if first <= day < end}


def _list_weeks(weeks: int) -> list[dt.date]:
    return [FIRST + dt.timedelta(days=WEEK * week) for week in range(weeks)]


if __name__ == "__main__":
    main()
