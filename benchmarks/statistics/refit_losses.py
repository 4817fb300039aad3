"""Loss of refitted models where nothing drifts, and tails are heavy: `penumbra bench refit-losses`.

A recipe learns from the days before the reference and scores it; then it learns from the reference, too, and answers.
The loss of the weeks that it answers is compared with the reference as it is, with the reference raised by what the
live fit loses more on its rows, and with the version's own first days, the alternative that was not taken.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from benchmarks.helpers.rates import compute_alarm_rate
from monitoring.losses.loss_threshold import DailyLosses, judge_losses, measure_refit_excess
from penumbra.core.metrics.losses import compute_clipped_losses, compute_loss_ceiling
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.core.text.tables import format_table

MODELS, WEEKS, ROWS = 30, 20, 200  # of each recipe, of each model, of each day
LEARNT_DAYS, REFERENCE_DAYS, WEEK, BUDGET = 30, 60, 7, 300
CHANGED_WEEKS, TURNED, SEEN_WITHIN = (3, 10), 0.2, 8
NUMBER = Task("regression")
RECIPES: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "tree of depth 5": lambda: DecisionTreeRegressor(max_depth=5, min_samples_leaf=5, random_state=0),
    "boosting, 20 trees": lambda: HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "forest": lambda: RandomForestRegressor(20, min_samples_leaf=20, max_samples=0.3, random_state=0),
}
TAILS: dict[str, tuple[float, float]] = {  # degrees of freedom of Student's t: of the inputs, of the errors
    "neither": (np.inf, np.inf),
    "inputs": (1.5, np.inf),
    "errors, 1.5 degrees": (np.inf, 1.5),
    "errors, 1.1 degrees": (np.inf, 1.1),
}
REFERENCES = ("as it is", "raised", "own days")


def main() -> None:
    """Print how often weeks alarm by their loss, and how many worlds see a tenth of the labels turned."""
    print(
        f"Weeks whose loss is beyond its threshold though nothing changes, where 1 in {BUDGET} is promised:\n"
        f"{MODELS} models of {WEEKS} weeks each (upper 95 % bound over models); and the share of models that see\n"
        f"{TURNED:.0%} of the labels turned from week {CHANGED_WEEKS[0]} and from week {CHANGED_WEEKS[1]} on within "
        f"{SEEN_WITHIN} weeks"
    )
    rows = [_measure_recipe(name, tails) for tails in TAILS for name in RECIPES]
    print(format_table(pl.DataFrame(rows)))


def _measure_recipe(name: str, tails: str) -> dict[str, str]:
    lives = [draw_life(name, tails, seed) for seed in range(MODELS)]
    found = {"heavy tails": tails, "recipe": name}
    for reference in REFERENCES:
        alarms = [[life.has_alarm(reference, week) for week in range(WEEKS)] for life in lives]
        seen = [np.mean([life.sees_change(reference, first - 1) for life in lives]) for first in CHANGED_WEEKS]
        rate, bound = compute_alarm_rate(alarms)
        found |= {reference: f"{rate:.3f} ({bound:.3f})", " " * len(found): " ".join(f"{each:.2f}" for each in seen)}
    return found


class ModelLife:
    """What a model loses, as the monitor sees it: days in the order of time, each with `ROWS` rows."""

    def __init__(self, earlier: np.ndarray, live: np.ndarray, calm: np.ndarray, changed: np.ndarray) -> None:
        """Take losses of rows, float64 [days, ROWS]: of the reference with the fit before and with the live fit; of the
        answered days as they are, and of the same days where labels are turned."""
        excess = measure_refit_excess(earlier, live)
        self.references = {"as it is": _sum_by_day(earlier), "raised": _sum_by_day(earlier + excess)}
        self.calm, self.changed = calm, changed

    def has_alarm(self, reference: str, week: int, first_changed: int = WEEKS) -> bool:
        """Say whether a week, from 0, alarms.

        Args:
            reference: What it is compared with, one of `REFERENCES`.
            week: The week.
            first_changed: The week from which on labels are turned.

        Returns:
            Whether it does; with its own days, never before there is a week of them.
        """
        change, end = first_changed * WEEK, (week + 1) * WEEK
        days = _sum_by_day(np.concatenate([self.calm[:change], self.changed[change:]])[:end])
        usual = self.references.get(reference)
        if usual is None:
            known = min(REFERENCE_DAYS, week * WEEK)
            usual, days = days[:known], days[known:]
        return any(each.is_high for each in judge_losses(days, usual, BUDGET, WEEK))

    def sees_change(self, reference: str, first: int) -> bool:
        """Say whether labels that are turned from week `first` on, from 0, are seen within `SEEN_WITHIN` weeks."""
        return any(self.has_alarm(reference, week, first) for week in range(first, first + SEEN_WITHIN))


def draw_life(name: str, tails: str, seed: int) -> ModelLife:
    """Draw a model's life.

    Args:
        name: The recipe, one of `RECIPES`.
        tails: Which tails are heavy, one of `TAILS`.
        seed: Seed of the rows.

    Returns:
        What the model loses.
    """
    learnt, days = LEARNT_DAYS + REFERENCE_DAYS, LEARNT_DAYS + REFERENCE_DAYS + WEEKS * WEEK
    random = np.random.default_rng([seed, *map(ord, tails)])
    inputs, outcomes = _draw_rows(random, days, *TAILS[tails])
    before, final = (_fit_recipe(name, inputs[:end], outcomes[:end]) for end in (LEARNT_DAYS, learnt))
    turned = np.where(
        random.random(outcomes.shape) < TURNED, random.permutation(outcomes.ravel()).reshape(-1, ROWS), outcomes
    )
    earlier = _compute_losses(before, inputs[LEARNT_DAYS:learnt], outcomes[LEARNT_DAYS:learnt], np.inf)
    labels = outcomes[LEARNT_DAYS:learnt].ravel()
    ceiling = compute_loss_ceiling(NUMBER, labels, earlier.ravel(), load_settings().promotion.loss_ceiling)
    live = _compute_losses(final, inputs[LEARNT_DAYS:learnt], outcomes[LEARNT_DAYS:learnt], ceiling)
    answered = (_compute_losses(final, inputs[learnt:], each[learnt:], ceiling) for each in (outcomes, turned))
    return ModelLife(np.minimum(earlier, ceiling), live, *answered)


def _draw_rows(random: np.random.Generator, days: int, inputs: float, errors: float) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, float64 [days, ROWS, 3], and outcomes, float64 [days, ROWS], with these degrees of freedom."""
    latent = random.standard_normal((days, ROWS, 3)) if np.isinf(inputs) else random.standard_t(inputs, (days, ROWS, 3))
    known = np.sign(latent) * np.log1p(np.abs(latent))
    noise = random.standard_normal((days, ROWS)) if np.isinf(errors) else random.standard_t(errors, (days, ROWS))
    return latent, 3 * known[..., 0] + known[..., 1] * known[..., 2] + 2 * noise


def _fit_recipe(name: str, inputs: np.ndarray, outcomes: np.ndarray) -> Any:
    return RECIPES[name]().fit(inputs.reshape(-1, inputs.shape[-1]), outcomes.ravel())


def _compute_losses(model: Any, inputs: np.ndarray, outcomes: np.ndarray, ceiling: float) -> np.ndarray:
    predictions = model.predict(inputs.reshape(-1, inputs.shape[-1]))
    return compute_clipped_losses(NUMBER, outcomes.ravel(), predictions, "squared_error", ceiling).reshape(-1, ROWS)


def _sum_by_day(losses: np.ndarray) -> DailyLosses:
    return DailyLosses(losses.sum(axis=1), (losses**2).sum(axis=1), np.full(len(losses), float(ROWS)))


if __name__ == "__main__":
    main()
