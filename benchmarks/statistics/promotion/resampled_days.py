"""Histories resampled from the real stream's days, in which the truth is known, and the tests tried on them."""

from dataclasses import dataclass

import numpy as np

from penumbra.core.settings import PromotionSettings
from penumbra.promotion.betting import find_shown_gains
from penumbra.promotion.sequential import compute_log_e_values

WEEK_LENGTH = 7
NOT_REACHED = 10**6


@dataclass(frozen=True)
class DailyDifferences:
    """Of each day, float64 [days]: the sum of loss differences, of their squares, and the number of rows."""

    sums: np.ndarray
    squares: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, days: np.ndarray, differences: np.ndarray) -> "DailyDifferences":
        """Whole days only: the last one of the year, in UTC, is not."""
        counted = (np.bincount(days, weights) for weights in (differences, differences**2, np.ones(len(days))))
        return cls(*(values[:-1] for values in counted))

    def resample_equal(self, worlds: int, length: int, random: np.random.Generator) -> "DailyDifferences":
        """Worlds [worlds, length] of randomly drawn weeks in which the two models swap names at random, week by week:
        neither is better, and days of a week lean on each other as they really do."""
        days = self._draw_weeks(worlds, length, random)
        signs = random.choice([-1.0, 1.0], (worlds, -(-length // WEEK_LENGTH)))
        signs = np.repeat(signs, WEEK_LENGTH, axis=1)[:, :length]
        return DailyDifferences(self.sums[days] * signs, self.squares[days], self.rows[days])

    def resample_centred(self, worlds: int, length: int, random: np.random.Generator) -> "DailyDifferences":
        """Worlds [worlds, length] of randomly drawn weeks less the stream's mean: neither is better, and what is skewed
        stays so."""
        days = self._draw_weeks(worlds, length, random)
        return DailyDifferences(self.sums[days] - self.sums[days].mean(), self.squares[days], self.rows[days])

    def _draw_weeks(self, worlds: int, length: int, random: np.random.Generator) -> np.ndarray:
        begin = random.integers(0, len(self.sums) - WEEK_LENGTH + 1, (worlds, -(-length // WEEK_LENGTH), 1))
        return (begin + np.arange(WEEK_LENGTH)).reshape(worlds, -1)[:, :length]

    def better(self, by: float) -> "DailyDifferences":
        """The same with a candidate that is better by so much a day."""
        return DailyDifferences(self.sums + by, self.squares, self.rows)

    def head(self, days: int) -> "DailyDifferences":
        """The first days of each world."""
        return DailyDifferences(self.sums[:, :days], self.squares[:, :days], self.rows[:, :days])

    def negated(self) -> "DailyDifferences":
        """Seen from the other side."""
        return DailyDifferences(-self.sums, self.squares, self.rows)


def find_promotion_days(world: DailyDifferences, terms: PromotionSettings) -> np.ndarray:
    """The day on which the rule first promotes a new recipe, looked at after each block: int [worlds], or NEVER."""
    required = -(-terms.seen_days // terms.block_days)
    shown = find_shown_gains(_sum_by_block(world.sums, terms.block_days), terms.promote_level, required)
    return _to_days(find_first_true(shown), terms.block_days)


def find_evidence_days(world: DailyDifferences, level: float, block_days: int = 1) -> np.ndarray:
    """The day on which the self-normalised test alone first shows a gain at `level`: int [worlds], or NEVER."""
    values = compute_log_e_values(_sum_by_block(world.sums, block_days))
    return _to_days(find_first_true(values >= -np.log(level)), block_days)


def _sum_by_block(sums: np.ndarray, block_days: int) -> np.ndarray:
    blocks = sums.shape[1] // block_days
    return sums[:, : blocks * block_days].reshape(-1, blocks, block_days).sum(axis=2)


def _to_days(blocks: np.ndarray, block_days: int) -> np.ndarray:
    return np.where(blocks == NOT_REACHED, NOT_REACHED, blocks * block_days)


def find_row_t_test_days(world: DailyDifferences, level: float) -> np.ndarray:
    """The day on which a one-sided test of all rows so far first shows a gain."""
    from scipy.stats import norm

    return find_first_true(_studentize(world.sums, world.squares, world.rows) >= norm.isf(level))


def find_day_t_test_days(world: DailyDifferences, level: float) -> np.ndarray:
    """The same with a day's sum as one observation, from the seventh day on."""
    from scipy.stats import t

    days = np.arange(1, world.sums.shape[1] + 1)
    statistic = _studentize(world.sums, world.sums**2, np.ones_like(world.sums)) * np.sqrt((days - 1) / days)
    return find_first_true((statistic >= t.isf(level, np.maximum(days - 1, 1))) & (days >= WEEK_LENGTH))


def count_fixed_sample_days(world: DailyDifferences, by: float, level: float, power: float) -> int:
    """The days that the best single look needs, told the effect and the true distribution of the sum: the first number
    of days after which the sum of a better candidate is beyond the 1 - level quantile of equal models' with `power`."""
    sums = world.sums.cumsum(axis=1)
    reached = sums + by * np.arange(1, sums.shape[1] + 1) > np.quantile(sums, 1 - level, axis=0)
    return int((reached.mean(axis=0) >= power).argmax()) + 1


def find_first_true(shown: np.ndarray) -> np.ndarray:
    """The position, from 1, of the first True along the last axis, or NEVER."""
    return np.where(shown.any(axis=-1), shown.argmax(axis=-1) + 1, NOT_REACHED)


def _studentize(sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total, square, count = (values.cumsum(axis=1) for values in (sums, squares, counts))
    spread = square - total**2 / count
    return np.where(spread > 0, total / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def format_day_quantiles(days: np.ndarray) -> str:
    """The median and the day by which four of five are done."""
    return " / ".join("never" if day >= NOT_REACHED else f"{day:.0f}" for day in np.quantile(days, [0.5, 0.8]))
