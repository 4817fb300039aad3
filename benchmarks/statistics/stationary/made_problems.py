"""Made problems: binary, several classes and numbers, of any size and shape, whose days are drawn independently.

The rows of a day lean on each other: each column and the outcome have a part that is the same for the whole day. What
comes with the weekday (fewer rows, other values) makes windows more alike than days in a random order are.
"""

import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from benchmarks.statistics.stationary.problems import DAYS_PER_WEEK, Phases, StationaryProblem
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN
from penumbra.core.task import Task, TaskKind
from penumbra.features import Category, Number

CLASSES = ("a", "b", "c", "d")
SHAPES = {
    "normal": lambda latent: latent,
    "lognormal": np.exp,
    "heavy": lambda latent: np.sign(latent) * np.expm1(1.5 * np.abs(latent)),  # no variance worth the name
    "counts": lambda latent: np.floor(np.exp(0.7 * latent)),
}


@dataclass(frozen=True)
class MadeRows:
    """The law that rows are drawn from.

    Attributes:
        kind: The kind of task.
        rows: Mean number of rows a day.
        numbers: Number of columns of numbers.
        shape: Their marginal distribution, one of `SHAPES`.
        words: The number of values of each category, whose frequencies fall as in Zipf's law.
        nulls: Share of missing values; on one day in ten it is four times as large.
        leaning: Correlation of two rows of a day, in each column and in the outcome.
        weekly: Whether a week has a rhythm.
    """

    kind: TaskKind
    rows: int
    numbers: int = 3
    shape: str = "normal"
    words: tuple[int, ...] = (6,)
    nulls: float = 0.0
    leaning: float = 0.0
    weekly: bool = False

    def draw_rows(self, seed: int, days: int) -> pl.DataFrame:
        """Draw rows of some days.

        Args:
            seed: Seed of all that is drawn.
            days: The number of days.

        Returns:
            Columns x0, x1, … (Float64), c0, c1, … (String), with nulls; the label, and the day.
        """
        random = np.random.default_rng([seed, zlib.crc32(repr(self).encode())])
        weekday = np.arange(days) % DAYS_PER_WEEK
        usual = self.rows * np.where(weekday < 5, 1.2, 0.5) if self.weekly else np.full(days, self.rows)
        day = np.repeat(np.arange(days), np.maximum(random.poisson(usual), 1))
        latent = [self._draw_latent(random, day) for _ in range(self.numbers + len(self.words) + 1)]
        rhythm = 0.5 * np.cos(2 * np.pi * day / DAYS_PER_WEEK) if self.weekly else 0.0
        numbers = [each + rhythm for each in latent[: self.numbers]]
        codes = [self._pick_codes(each, size) for each, size in zip(latent[self.numbers :], self.words, strict=False)]
        signal = self._compute_signal(numbers, codes)
        columns = {f"x{n}": SHAPES[self.shape](each) for n, each in enumerate(numbers)}
        columns |= {f"c{n}": np.char.add("w", each.astype(str)) for n, each in enumerate(codes)}
        label = self._draw_label(signal, latent[-1], random)
        frame = pl.DataFrame({**columns, LABEL_COLUMN: label, DAY_COLUMN: day})
        return self._remove_values(frame, list(columns), random) if self.nulls else frame

    def _draw_latent(self, random: np.random.Generator, day: np.ndarray) -> np.ndarray:
        """Draw standard normal values that lean on each other within a day: float64 [n]."""
        common = random.standard_normal(day[-1] + 1)[day]
        return np.sqrt(self.leaning) * common + np.sqrt(1 - self.leaning) * random.standard_normal(len(day))

    def _pick_codes(self, latent: np.ndarray, size: int) -> np.ndarray:
        from scipy.stats import norm

        shares = 1 / np.arange(1, size + 1)
        return np.searchsorted(norm.ppf(np.cumsum(shares / shares.sum())[:-1]), latent)

    def _compute_signal(self, numbers: list[np.ndarray], codes: list[np.ndarray]) -> np.ndarray:
        """Add up what the columns say about the outcome: float64 [n]."""
        signal = 1.2 * numbers[0] + 0.5 * numbers[1] * (numbers[0] > 0) + 0.3 * (numbers[-1] ** 2 - 1)
        for number, each in enumerate(codes):
            signal = signal + 0.6 * np.sin(1.7 * each + number)
        return np.asarray(signal)

    def _draw_label(self, signal: np.ndarray, noise: np.ndarray, random: np.random.Generator) -> np.ndarray:
        outcome = signal + 1.2 * noise
        if self.kind == "binary":
            return outcome > 1
        if self.kind == "multiclass":
            return np.searchsorted([-1.0, 0.3, 1.8], outcome)
        tail = random.standard_t(3, len(outcome)) if self.shape == "heavy" else 0.0
        return np.asarray(10 + 3 * outcome + tail)

    def _remove_values(self, frame: pl.DataFrame, names: list[str], random: np.random.Generator) -> pl.DataFrame:
        day = frame[DAY_COLUMN].to_numpy()
        share = self.nulls * np.where(random.random(day[-1] + 1) < 0.1, 4.0, 1.0)[day]
        kept = {name: pl.Series(random.random(len(day)) >= share) for name in names}
        return frame.with_columns(pl.when(kept[name]).then(pl.col(name)).alias(name) for name in names)


def build_made_problem(model: str, law: MadeRows) -> StationaryProblem:
    """Build a made problem.

    Args:
        model: The kind of model.
        law: The law of its rows.

    Returns:
        The problem, with fewer days to learn from where a day has many rows.
    """
    columns = [*(f"x{n}" for n in range(law.numbers)), *(f"c{n}" for n in range(len(law.words)))]
    features = tuple((Number if name.startswith("x") else Category)(name) for name in columns)
    task = Task(law.kind, CLASSES if law.kind == "multiclass" else ())
    phases = Phases(train=15, reference=40) if law.rows >= 5000 else Phases()
    return StationaryProblem(law.rows, model, task, features, law, columns, phases)


def name_made_problem(model: str, law: MadeRows) -> str:
    """Name a made problem by what is special about it."""
    odd = [] if law.shape == "normal" else [law.shape]
    odd += [f"{size} words" for size in law.words if size > MANY_WORDS]
    odd += ["nulls"] * bool(law.nulls) + ["days lean"] * bool(law.leaning) + ["weekly"] * law.weekly
    return ", ".join([f"{law.rows} {law.kind} {model}", *odd])


MANY_WORDS = 50
BINARY, CLASSED, NUMERIC = "binary", "multiclass", "regression"
LAWS = (
    ("tree", MadeRows(BINARY, 20)),
    ("tree", MadeRows(BINARY, 200, leaning=0.1)),
    ("tree", MadeRows(BINARY, 1000, nulls=0.05)),
    ("tree", MadeRows(BINARY, 5000, numbers=2, words=())),
    ("boosting 20", MadeRows(BINARY, 50)),
    ("boosting 20", MadeRows(BINARY, 200, weekly=True)),
    ("boosting 20", MadeRows(BINARY, 1000, leaning=0.05)),
    ("boosting 20", MadeRows(BINARY, 5000, numbers=2)),
    ("boosting", MadeRows(BINARY, 20, shape="counts")),
    ("boosting", MadeRows(BINARY, 200, nulls=0.1)),
    ("boosting", MadeRows(BINARY, 200, words=(100, 12))),
    ("boosting", MadeRows(BINARY, 1000, leaning=0.2)),
    ("forest", MadeRows(BINARY, 50)),
    ("forest", MadeRows(BINARY, 200, leaning=0.2)),
    ("linear", MadeRows(BINARY, 20, shape="lognormal")),
    ("linear", MadeRows(BINARY, 200, words=(400,))),
    ("linear", MadeRows(BINARY, 5000, numbers=2, leaning=0.02)),
    ("tree", MadeRows(CLASSED, 50)),
    ("tree", MadeRows(CLASSED, 200, weekly=True)),
    ("boosting 20", MadeRows(CLASSED, 200, leaning=0.1)),
    ("boosting", MadeRows(CLASSED, 50, nulls=0.1)),
    ("forest", MadeRows(CLASSED, 50, shape="heavy")),
    ("linear", MadeRows(CLASSED, 20)),
    ("linear", MadeRows(CLASSED, 1000, shape="counts", leaning=0.1)),
    ("tree", MadeRows(NUMERIC, 20, shape="heavy")),
    ("tree", MadeRows(NUMERIC, 200, leaning=0.05)),
    ("tree", MadeRows(NUMERIC, 5000, numbers=2, words=())),
    ("boosting 20", MadeRows(NUMERIC, 200, shape="heavy")),
    ("boosting 20", MadeRows(NUMERIC, 1000, leaning=0.1, weekly=True)),
    ("boosting", MadeRows(NUMERIC, 50, shape="lognormal", nulls=0.1)),
    ("boosting", MadeRows(NUMERIC, 200, shape="counts", words=(200,))),
    ("forest", MadeRows(NUMERIC, 200, shape="heavy", leaning=0.1)),
    ("linear", MadeRows(NUMERIC, 20)),
    ("linear", MadeRows(NUMERIC, 1000, shape="heavy")),
)
MADE_PROBLEMS = {name_made_problem(*each): partial(build_made_problem, *each) for each in LAWS}
