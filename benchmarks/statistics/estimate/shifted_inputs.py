"""Made problems whose inputs shift: what a model said of its reference and of weeks after it, and what came true.

Rows of a day share two inputs' level and the outcome's, so the day is the unit, as in real streams. Every problem comes
with a well-fitting model and with a straight line, which is wrong in ways that depend on the inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from monitoring.estimation.loss_estimator import ScoredRows
from penumbra.core.task import Task

TASKS = (Task("binary"), Task("multiclass", ("low", "middle", "high")), Task("regression"))
MODELS = ("boosting", "linear")
TRAINING_DAYS, REFERENCE_DAYS, WINDOW_DAYS = 40, 60, 7
CATEGORIES = ("a", "b", "c", "d", "e", "f", "g", "h")


@dataclass(frozen=True)
class InputShift:
    """A difference of a week from the reference.

    Attributes:
        name: What is different.
        level: By how many standard deviations an input is higher.
        mix: How even the categories are: 0 as before, 1 all alike, above that the rare ones are the frequent ones.
        nulls: The share of nulls in an input.
        change: How much of the relation of inputs and outcome is lost, 0 to 1; this is no shift of inputs.
    """

    name: str
    level: float = 0.0
    mix: float = 0.0
    nulls: float = 0.1
    change: float = 0.0


INPUT_SHIFTS = (
    InputShift("nothing"),
    InputShift("an input higher by 0.5 sd", level=0.5),
    InputShift("an input higher by 1 sd", level=1.0),
    InputShift("an input lower by 1 sd", level=-1.0),
    InputShift("other categories", mix=1.5),
    InputShift("half of an input's values missing", nulls=0.5),
)
CHANGED_RELATIONS = (
    InputShift("a third of the relation lost", change=0.35),
    InputShift("the same, an input higher by 1 sd", level=1.0, change=0.35),
)


@dataclass(frozen=True)
class MadeRows:
    """Rows with their outcome: `scored` as a log has them, and `labels` [n]."""

    scored: ScoredRows
    labels: np.ndarray


@dataclass(frozen=True)
class ShiftedProblem:
    """A model with its reference and a week for each shift: `task`, the model's name, `reference`, `weeks`."""

    task: Task
    model: str
    reference: MadeRows
    weeks: dict[InputShift, MadeRows] = field(repr=False)


def make_problems(
    seed: int, rows: int, shifts: tuple[InputShift, ...], models: tuple[str, ...] = MODELS
) -> Iterator[ShiftedProblem]:
    """Make a problem for each task and model: `rows` a day, a week for each of the `shifts`, drawn from `seed`."""
    for number, task in enumerate(TASKS):
        for name in models:
            random = np.random.default_rng([seed, number, MODELS.index(name)])
            inputs, labels, _ = _draw_rows(random, task, TRAINING_DAYS, rows, InputShift(""))
            model = _fit_model(task, name, inputs, labels)
            reference = _score_days(random, task, model, REFERENCE_DAYS, rows, InputShift(""))
            weeks = {shift: _score_days(random, task, model, WINDOW_DAYS, rows, shift) for shift in shifts}
            yield ShiftedProblem(task, name, reference, weeks)


def _score_days(
    random: np.random.Generator, task: Task, model: Any, days: int, rows: int, shift: InputShift
) -> MadeRows:
    inputs, labels, day = _draw_rows(random, task, days, rows, shift)
    predicted = model.predict(_encode(inputs)) if task.kind == "regression" else model.predict_proba(_encode(inputs))
    return MadeRows(ScoredRows(inputs, predicted[:, 1] if task.kind == "binary" else predicted, day), labels)


def _draw_rows(
    random: np.random.Generator, task: Task, days: int, rows: int, shift: InputShift
) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Draw inputs, labels and days of rows."""
    day = np.repeat(np.arange(days), rows)
    numbers = random.normal(0, 0.9, (days * rows, 5))
    numbers[:, :2] += random.normal(0, 0.35, (days, 2))[day]
    numbers[:, 0] += shift.level
    shares = np.arange(len(CATEGORIES), 0, -1.0) ** (1 - shift.mix)
    codes = random.choice(len(CATEGORIES), len(day), p=shares / shares.sum())
    labels = _draw_labels(random, task, numbers, codes, random.normal(0, 0.2, days)[day], shift.change)
    numbers[random.random(len(day)) < shift.nulls, 3] = np.nan
    frame = pl.DataFrame(numbers, [f"number{k}" for k in range(5)], orient="row").fill_nan(None)
    return frame.with_columns(pl.Series("category", np.array(CATEGORIES)[codes])), labels, day


def _draw_labels(
    random: np.random.Generator, task: Task, x: np.ndarray, codes: np.ndarray, day: np.ndarray, change: float
) -> np.ndarray:
    """Draw what comes true; `day` is what rows of a day share."""
    effect = np.linspace(-1.2, 1.2, len(CATEGORIES))[codes]
    bent = 0.9 * x[:, 0] + 1.1 * np.sin(1.5 * x[:, 0]) + 0.7 * x[:, 0] * x[:, 1] + effect * (x[:, 2] > 0)
    signal = (1 - change) * (bent + 0.5 * np.abs(x[:, 3])) + change + day
    if task.kind == "binary":
        return random.random(len(x)) < 1 / (1 + np.exp(0.8 - signal))
    if task.kind == "multiclass":
        others = 0.8 * x[:, 1] - 0.6 * signal + 0.3, -0.5 * x[:, 2] * x[:, 0]
        return np.argmax(np.column_stack([signal, *others]) + random.gumbel(size=(len(x), 3)), axis=1)
    spread = np.exp(0.5 * np.clip(x[:, 0], -3, 3) + 0.3 * (codes > 5))
    return 3 * signal + spread * random.standard_t(5, len(x))


def _encode(inputs: pl.DataFrame) -> np.ndarray:
    codes = pl.col("category").replace_strict(CATEGORIES, range(len(CATEGORIES)), return_dtype=pl.Float64)
    return inputs.with_columns(codes).fill_null(np.nan).to_numpy()


def _fit_model(task: Task, name: str, inputs: pl.DataFrame, labels: np.ndarray) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    is_number = task.kind == "regression"
    if name == "linear":
        model = make_pipeline(SimpleImputer(), Ridge() if is_number else LogisticRegression(max_iter=500))
    else:
        boosting = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
        model = boosting(max_iter=60, max_leaf_nodes=8, min_samples_leaf=50, random_state=0)
    return model.fit(_encode(inputs), labels)
