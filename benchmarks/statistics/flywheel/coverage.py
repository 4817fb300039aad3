"""How often the interval of an estimated error rate holds the truth, weighted by chance and without weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics.flywheel.labelling import THRESHOLD, LabelledRows, LabellingPolicy, NeedSearch
from benchmarks.statistics.flywheel.streams import ALL_DAYS, RowStream
from penumbra.core.settings import load_settings
from penumbra.reviews.measures.estimates import WeightedEstimate, estimate_rate
from penumbra.reviews.selection.sampling import draw_by_priority, mix_weights

SIMULATIONS = 1000
REAL_WINDOW, MADE_WINDOW = 28, 7  # days that an error rate is estimated for
LEARNT_DAYS = 110  # of the model whose decisions on later days are judged
PICKED_SHARE = 0.05  # of a day's rows
MADE_ROWS, MADE_NEEDED = 1000, 100  # a day of a made world, and those of them that have a reason
MADE_RATES, MADE_LIFTS = (0.01, 0.05, 0.25), (1, 5, 30)


@dataclass(frozen=True)
class JudgedDays:
    """Decided rows by day.

    Attributes:
        weights: How much each row is wanted for review, float64 (rows,) of each day.
        errors: Whether its decision is wrong, bool (rows,) of each day.
        window: How many neighbouring days an error rate is estimated for.
    """

    weights: Sequence[np.ndarray]
    errors: Sequence[np.ndarray]
    window: int

    def simulate_estimate(self, random: np.random.Generator) -> tuple[float, WeightedEstimate, WeightedEstimate]:
        """Pick rows of each day of a window, and let people answer them.

        Args:
            random: Source of chance, of the window's place, too.

        Returns:
            The error rate of all rows; its estimate; and the estimate as if all picked rows had had the same chance.
        """
        first = int(random.integers(len(self.weights) - self.window + 1))
        days = [self._pick(day, random) for day in range(first, first + self.window)]
        events, chances = (np.concatenate(parts) for parts in zip(*days, strict=True))
        errors = np.concatenate(self.errors[first : first + self.window])
        plain = np.full(len(events), len(events) / len(errors))
        return float(errors.mean()), estimate_rate(events, chances), estimate_rate(events, plain)

    def _pick(self, day: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        weights, errors = self.weights[day], self.errors[day]
        count = max(1, round(PICKED_SHARE * len(weights)))
        picked, chances = draw_by_priority(weights, 1 - random.random(len(weights)), count)
        return errors[picked].astype(float), chances[picked]


@dataclass(frozen=True)
class Coverage:
    """What simulations have shown.

    Attributes:
        rate: The mean error rate of all rows.
        picked: The mean number of picked rows.
        weighted: The share of simulations in which the weighted estimate's interval holds the error rate.
        width: The mean width of these intervals.
        naive: The same share without weights.
        naive_rate: The mean estimate without weights.
    """

    rate: float
    picked: float
    weighted: float
    width: float
    naive: float
    naive_rate: float


def measure_coverage(days: JudgedDays, seed: int, simulations: int = SIMULATIONS) -> Coverage:
    """Measure how often the intervals hold the truth.

    Args:
        days: The decided rows.
        seed: Seed of chance.
        simulations: How many.

    Returns:
        The shares.
    """
    random = np.random.default_rng(seed)
    truths, weighted, naive = zip(*(days.simulate_estimate(random) for _ in range(simulations)), strict=True)
    return Coverage(
        float(np.mean(truths)),
        float(np.mean([estimate.picked for estimate in weighted])),
        _measure_share(truths, weighted),
        float(np.mean([estimate.high - estimate.low for estimate in weighted])),
        _measure_share(truths, naive),
        float(np.mean([estimate.value for estimate in naive])),
    )


def judge_stream(stream: RowStream, end: int = ALL_DAYS) -> JudgedDays:
    """Judge the decisions of a model that learnt the outcomes of the first days.

    Args:
        stream: The rows.
        end: The day before which the last rows are judged.

    Returns:
        The days after those it learnt from.
    """
    learnt, labelled = stream.select_days(0, LEARNT_DAYS), LabelledRows()
    labelled.add(learnt, stream.labels[learnt], np.ones(len(learnt)))
    search = NeedSearch.learn(stream, LabellingPolicy(by_need=True, power=0), labelled)
    judged = stream.select_days(LEARNT_DAYS, end)
    reasons, errors = search.list_reasons(judged), _find_errors(stream, search.model, judged)
    days = np.split(np.arange(len(judged)), np.flatnonzero(np.diff(stream.days[judged])) + 1)
    share = load_settings().review.chance_share
    weights = [mix_weights([reasons[row] for row in rows], share) for rows in days]
    return JudgedDays(weights, [errors[rows] for rows in days], REAL_WINDOW)


def make_days(rate: float, lift: float, seed: int, days: int = 100) -> JudgedDays:
    """Make days of rows of which a tenth has a reason; a day's error rate is log-normal.

    Args:
        rate: The mean error rate.
        lift: How many times as often rows with a reason are wrong as others are.
        seed: Seed of chance.
        days: How many days.

    Returns:
        The days.
    """
    random = np.random.default_rng(seed)
    is_needed = np.arange(MADE_ROWS) < MADE_NEEDED
    weights = mix_weights([["close call"] if has else [] for has in is_needed], load_settings().review.chance_share)
    relative = np.where(is_needed, lift, 1) / (1 + (lift - 1) * MADE_NEEDED / MADE_ROWS)
    rates = rate * np.exp(0.5 * random.standard_normal((days, 1)) - 0.125) * relative
    return JudgedDays([weights] * days, list(random.random((days, MADE_ROWS)) < rates), MADE_WINDOW)


def _find_errors(stream: RowStream, model: object, rows: np.ndarray) -> np.ndarray:
    outputs = stream.predict(model, rows)
    decisions = outputs >= THRESHOLD if stream.task.kind == "binary" else outputs.argmax(axis=1)
    return np.asarray(decisions != stream.labels[rows])


def _measure_share(truths: Sequence[float], estimates: Sequence[WeightedEstimate]) -> float:
    return float(np.mean([each.low <= truth <= each.high for truth, each in zip(truths, estimates, strict=True)]))
