"""Error rates and mean losses of all rows, estimated from those that were picked for review and answered.

A picked row stands for 1/chance rows. The mean of its kind over all rows is the weighted mean of those that people
answered (Hájek), whatever they were picked for; the plain mean of what was picked by need is far off. Under priority
sampling the covariances of the rows vanish, so the variance is a sum over rows.

Few errors are the usual case, and an error among the rows that were picked by chance alone stands for many rows. A
normal interval around a rate is too short then: none was seen, and so none can be. The interval here is Wilson's, with
the number of independent rows that would have the same variance; half an error and half a correct row of a large weight
(the mean weight, each row counted by its part in the variance) are in that variance, too, so that it is never 0 because
of what wasn't drawn. How often it holds is measured: `penumbra bench flywheel`.

The interval is about the rows of the blocks that were picked from, so it says nothing of how days differ. With `days`
it is about days like these: rows of a day are alike, and the spread between days counts, too.

Source:
    Hájek, in Godambe and Sprott (eds.), "Foundations of statistical inference", 1971, p. 236 (ratio estimate).
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", Journal of the ACM 54(6),
    2007 (variance).
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927; Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24(2), 1998 (effective number of rows).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
CONFIDENCE = 0.95
PSEUDO_ROWS = 0.5  # errors, and as many correct rows, that are added to the variance of a rate
MIN_EFFECTIVE = 10.0  # with fewer rows' worth of answers the interval stands, but the estimate is called uncertain


@dataclass(frozen=True)
class WeightedEstimate:
    """A rate or a mean over all rows of some blocks, with its interval.

    Attributes:
        value: The estimate; NaN without an answer.
        low: Lower end of the 95 % interval; of a rate 0 without an answer, of a mean -infinity.
        high: Its upper end; of a rate 1 without an answer, of a mean infinity.
        picked: How many rows were picked.
        answered: How many of them have an answer.
        effective: How many rows drawn with equal chances would say as much as these answers.
        unanswered_share: The share of all rows that picked ones without an answer stand for, 0 to 1. The estimate takes
            them to be like the others. A rate is at least value * (1 - share) and at most that plus share, whatever
            they are.
    """

    value: float
    low: float
    high: float
    picked: int
    answered: int
    effective: float
    unanswered_share: float

    @property
    def is_certain_enough(self) -> bool:
        """Whether there are answers enough to name the value, not only the interval."""
        return self.effective >= MIN_EFFECTIVE


def estimate_rate(
    events: FloatArray, probabilities: FloatArray, days: NDArray[np.int64] | None = None
) -> WeightedEstimate:
    """Estimate the share of all rows that have something, such as a wrong decision.

    Args:
        events: 1 for picked rows that have it, 0 for those that don't, NaN without an answer, float64 (picked,).
        probabilities: The chance that each had of being picked, above 0 and at most 1, float64 (picked,).
        days: The number of each row's day, int64 (picked,): the interval is about days like these. None: about these
            rows.

    Returns:
        The estimate.

    Raises:
        ValueError: A chance isn't above 0 and at most 1.
    """
    sample = _AnsweredSample.select(events, probabilities, days)
    if not len(sample.values):
        return sample.make_estimate(math.nan, 0.0, 1.0)
    rate = sample.compute_mean()
    return sample.make_estimate(rate, *_compute_wilson_limits(rate, sample.count_independent_rows(), sample.reach))


def estimate_mean(
    values: FloatArray, probabilities: FloatArray, days: NDArray[np.int64] | None = None
) -> WeightedEstimate:
    """Estimate the mean of all rows' values, such as their losses.

    Args:
        values: Of picked rows, NaN without an answer, float64 (picked,).
        probabilities: The chance that each had of being picked, above 0 and at most 1, float64 (picked,).
        days: The number of each row's day, int64 (picked,): the interval is about days like these. None: about these
            rows.

    Returns:
        The estimate, with Student's t for its interval.

    Raises:
        ValueError: A chance isn't above 0 and at most 1.
    """
    sample = _AnsweredSample.select(values, probabilities, days)
    if len(sample.values) < 2:
        return sample.make_estimate(math.nan, -math.inf, math.inf)
    mean = sample.compute_mean()
    distance = sample.reach * math.sqrt(sample.compute_variance(mean))
    return sample.make_estimate(mean, mean - distance, mean + distance)


def describe_estimate(estimate: WeightedEstimate, name: str) -> str:
    """Describe an estimated rate in words.

    Args:
        estimate: The estimate of a rate.
        name: What it is the rate of, such as "error rate".

    Returns:
        Such as "error rate 3.1 % (95 %: 1.2 to 7.4 %), from 43 of 50 picked rows"; with few answers what they leave
        open, without any that there is none.
    """
    source = f"{estimate.answered:,} of {estimate.picked:,} picked rows"
    if not estimate.answered:
        return f"no {name} yet: none of {estimate.picked:,} picked rows is answered"
    limits = f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
    if not estimate.is_certain_enough:
        return f"too few answers to name the {name}, which is {limits} (95 %), from {source}"
    return f"{name} {100 * estimate.value:.1f} % (95 %: {limits}), from {source}"


@dataclass(frozen=True)
class _AnsweredSample:
    """The answered rows: their values, chances of being picked and answered, and numbers of days, each (rows,)."""

    values: FloatArray
    chances: FloatArray
    days: NDArray[np.int64] | None
    picked: int
    unanswered_share: float

    @classmethod
    def select(cls, values: FloatArray, probabilities: FloatArray, days: NDArray[np.int64] | None) -> "_AnsweredSample":
        if not ((probabilities > 0) & (probabilities <= 1)).all():
            odd = probabilities[~((probabilities > 0) & (probabilities <= 1))][0]
            raise ValueError(f"{odd} is no chance of a picked row: expected a number above 0 and at most 1")
        answered = ~np.isnan(values)
        stands_for = 1 / probabilities
        return cls(
            values[answered],
            probabilities[answered] * np.mean(answered) if answered.any() else probabilities[answered],
            None if days is None else np.unique(days[answered], return_inverse=True)[1],
            len(values),
            float(stands_for[~answered].sum() / max(stands_for.sum(), 1)),
        )

    @property
    def weights(self) -> FloatArray:
        """How many rows each answered one stands for, float64 (rows,)."""
        return np.asarray(1 / self.chances)

    @property
    def effective(self) -> float:
        """How many rows drawn with equal chances would say as much about a mean (Kish)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.values) else 0.0

    @property
    def reach(self) -> float:
        """How many standard errors the 95 % interval reaches; infinite with days of which there is but one."""
        from scipy.special import stdtrit

        free = self.effective - 1 if self.days is None else self.days.max()
        return float(stdtrit(free, (1 + CONFIDENCE) / 2)) if free > 0 else math.inf

    def compute_mean(self) -> float:
        return float(np.average(self.values, weights=self.weights))

    def compute_variance(self, mean: float) -> float:
        """Compute the variance of the weighted mean, about `mean`."""
        residuals = self.weights * (self.values - mean)
        variance = float(((1 - self.chances) * residuals**2).sum())
        if self.days is not None and (last := self.days.max()) > 0:
            variance = max(variance, float((np.bincount(self.days, residuals) ** 2).sum() * (last + 1) / last))
        return variance / float(self.weights.sum()) ** 2

    def count_independent_rows(self) -> float:
        """Count how many independent rows would have the variance of this rate; infinite where all rows are known."""
        spread, total = (1 - self.chances) * self.weights**2, float(self.weights.sum())
        heavy = float(np.average(self.weights, weights=spread)) if spread.any() else 1.0
        whole = total + 2 * PSEUDO_ROWS * heavy
        rate = (total * self.compute_mean() + PSEUDO_ROWS * heavy) / whole
        added = PSEUDO_ROWS * heavy * (heavy - 1) * ((1 - rate) ** 2 + rate**2)
        variance = (self.compute_variance(rate) * total**2 + added) / whole**2
        return rate * (1 - rate) / variance if variance > 0 else math.inf

    def make_estimate(self, value: float, low: float, high: float) -> WeightedEstimate:
        answered = len(self.values)
        return WeightedEstimate(value, low, high, self.picked, answered, self.effective, self.unanswered_share)


def _compute_wilson_limits(rate: float, rows: float, reach: float) -> tuple[float, float]:
    if math.isinf(reach):
        return 0.0, 1.0
    share = reach**2 / rows
    middle = (rate + share / 2) / (1 + share)
    distance = math.sqrt(share * rate * (1 - rate) + share**2 / 4) / (1 + share)
    return max(middle - distance, 0.0), min(middle + distance, 1.0)
