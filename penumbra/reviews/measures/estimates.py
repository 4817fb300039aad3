"""Error rates and mean losses of all rows, estimated from those that were picked for review and answered.

A drawn row stands for 1/chance rows. The mean over all rows is the weighted mean of those that people answered,
whatever they were drawn for; the plain mean of what was drawn by need is far off. Under priority sampling the
covariances of the rows vanish, so the variance is a sum over rows. The weighted mean is a ratio (Hájek): its bias falls
with the number of answers, unlike that of totals, which have none, and is far less than its interval; a total divided
by the known number of rows has no bias and varies more.

Rows that a rule deferred to people are a stratum of their own: all are picked, and people answer them first, so they
say nothing of the drawn ones. Within each of the two the rows without an answer are taken to be like the others. Where
the answered ones of the drawn rows have less of the weight than of the number, as those of small chance are left open,
the interval is as if there were fewer of them in this proportion; a stratum without an answer may be anything.

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

from penumbra.core.metrics.proportions import compute_wilson_limits
from penumbra.core.text.counts import format_count

FloatArray = NDArray[np.float64]
CONFIDENCE = 0.95
LEAST_TOLD_SHARE = 0.05  # of all rows; a smaller share without an answer isn't mentioned
PSEUDO_ROWS = 0.5  # errors, and as many correct rows, that are added to the variance of a rate
MIN_EFFECTIVE = 10.0  # with fewer rows' worth of answers the interval stands, but the estimate is called uncertain


@dataclass(frozen=True)
class WeightedEstimate:
    """A rate or a mean over all rows of some blocks, with its interval.

    Attributes:
        value: The estimate; NaN without an answer.
        low: Lower end of the 95 % interval; of a rate 0 without an answer, of a mean -infinity.
        high: Its upper end; of a rate 1 without an answer, of a mean infinity.
        picked: How many rows were drawn.
        answered: How many of them have an answer.
        effective: How many rows drawn with equal chances would say as much as these answers.
        unanswered_share: The share of all rows that picked ones without an answer stand for, 0 to 1, deferred ones
            among them. The estimate takes them to be like the others. A rate is at least value * (1 - share) and at
            most that plus share, whatever they are.
    """

    value: float
    low: float
    high: float
    picked: int
    answered: int
    effective: float
    unanswered_share: float

    @property
    def has_limits(self) -> bool:
        """Whether there is an interval: a mean of one answer, or of answers that weigh as much as one, has none."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def is_certain_enough(self) -> bool:
        """Whether there are answers enough to name the value, not only the interval."""
        return self.effective >= MIN_EFFECTIVE


def estimate_rate(
    events: FloatArray,
    probabilities: FloatArray,
    days: NDArray[np.int64] | None = None,
    deferred: NDArray[np.bool_] | None = None,
) -> WeightedEstimate:
    """Estimate the share of all rows that have something, such as a wrong decision.

    Args:
        events: 1 for picked rows that have it, 0 for those that don't, NaN without an answer, float64 (picked,).
        probabilities: The chance that each had of being picked, above 0 and at most 1, float64 (picked,).
        days: The number of each row's day, int64 (picked,): the interval is about days like these. None: about these
            rows.
        deferred: Which rows a rule deferred to people, bool (picked,): all such rows are among these. None: none.

    Returns:
        The estimate.

    Raises:
        ValueError: A chance isn't above 0 and at most 1.
    """
    sample = _AnsweredSample.select(events, probabilities, days, deferred)
    if not len(sample.values):
        return sample.make_estimate(math.nan, 0.0, 1.0)
    rate, rows = sample.compute_mean(), sample.count_independent_rows() * sample.balance
    low, high = compute_wilson_limits(rate, rows, sample.reach)
    known = 1 - sample.unknown_share
    return sample.make_estimate(rate, low * known, high * known + sample.unknown_share)


def estimate_mean(
    values: FloatArray,
    probabilities: FloatArray,
    days: NDArray[np.int64] | None = None,
    deferred: NDArray[np.bool_] | None = None,
) -> WeightedEstimate:
    """Estimate the mean of all rows' values, such as their losses.

    Args:
        values: Of picked rows, NaN without an answer, float64 (picked,).
        probabilities: The chance that each had of being picked, above 0 and at most 1, float64 (picked,).
        days: The number of each row's day, int64 (picked,): the interval is about days like these. None: about these
            rows.
        deferred: Which rows a rule deferred to people, bool (picked,): all such rows are among these. None: none.

    Returns:
        The estimate, with Student's t for its interval.

    Raises:
        ValueError: A chance isn't above 0 and at most 1.
    """
    sample = _AnsweredSample.select(values, probabilities, days, deferred)
    if len(sample.values) < 2:
        return sample.make_estimate(math.nan, -math.inf, math.inf)
    mean = sample.compute_mean()
    distance = sample.reach * math.sqrt(sample.compute_variance(mean) / sample.balance)
    return sample.make_estimate(mean, mean - distance, mean + distance)


def describe_estimate(estimate: WeightedEstimate, name: str) -> str:
    """Describe an estimated rate in words.

    Args:
        estimate: The estimate of a rate.
        name: What it is the rate of, such as "error rate".

    Returns:
        Such as "error rate 3.1 % (95 %: 1.2 to 7.4 %), from 43 of 50 picked rows, which leave 12 % of all unanswered";
        with few answers what they leave open, without any that there is none.
    """
    source = describe_source(estimate)
    if not estimate.picked:
        return f"no {name} yet: no row was drawn"
    if not estimate.answered:
        return f"no {name} yet: none of {format_count(estimate.picked, 'picked row')} is answered"
    limits = f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
    if not estimate.is_certain_enough:
        return f"too few answers to name the {name}, which is {limits} (95 %), from {source}"
    return f"{name} {100 * estimate.value:.1f} % (95 %: {limits}), from {source}"


def describe_source(estimate: WeightedEstimate) -> str:
    """Describe the rows that an estimate is from.

    Args:
        estimate: The estimate.

    Returns:
        Such as "43 of 50 picked rows, which leave 12 % of all unanswered".
    """
    source = f"{estimate.answered:,} of {format_count(estimate.picked, 'picked row')}"
    share = estimate.unanswered_share
    return f"{source}, which leave {100 * share:.0f} % of all unanswered" if share >= LEAST_TOLD_SHARE else source


@dataclass(frozen=True)
class _AnsweredSample:
    """The answered rows: their values, chances of being picked and answered, and numbers of days, each (rows,).

    Attributes:
        balance: The answered share of the drawn rows' weight, in relation to that of their number, at most 1.
        unknown_share: The share of all rows that were deferred, where none of these is answered; 0 otherwise.
    """

    values: FloatArray
    chances: FloatArray
    days: NDArray[np.int64] | None
    picked: int
    answered: int
    unanswered_share: float
    balance: float
    unknown_share: float

    @classmethod
    def select(
        cls,
        values: FloatArray,
        probabilities: FloatArray,
        days: NDArray[np.int64] | None,
        deferred: NDArray[np.bool_] | None,
    ) -> "_AnsweredSample":
        if not ((probabilities > 0) & (probabilities <= 1)).all():
            odd = probabilities[~((probabilities > 0) & (probabilities <= 1))][0]
            raise ValueError(f"{odd} is no chance of a picked row: expected a number above 0 and at most 1")
        drawn, stands_for, answered = np.ones(len(values), bool), 1 / probabilities, ~np.isnan(values)
        if deferred is not None:
            drawn = ~deferred
        chances, whole = probabilities.copy(), max(float(stands_for.sum()), 1.0)
        for part in (drawn, ~drawn):
            chances[part] *= stands_for[part & answered].sum() / max(stands_for[part].sum(), 1)
        number, share = np.mean(answered[drawn]) if drawn.any() else 0.0, chances[drawn & answered]
        used = answered & (drawn & answered).any()
        return cls(
            values[used],
            chances[used],
            None if days is None else np.unique(days[used], return_inverse=True)[1],
            int(drawn.sum()),
            int((drawn & answered).sum()),
            float(stands_for[~answered].sum() / whole),
            float(min(1.0, (share / probabilities[drawn & answered]).mean() / number)) if number else 0.0,
            0.0 if (~drawn & answered).any() else float((~drawn).sum() / whole),
        )

    @property
    def weights(self) -> FloatArray:
        """How many rows each answered one stands for, float64 (rows,)."""
        return np.asarray(1 / self.chances)

    @property
    def effective(self) -> float:
        """How many rows drawn with equal chances would say as much about a mean (Kish)."""
        return self.balance * float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.values) else 0.0

    @property
    def reach(self) -> float:
        """How many standard errors the 95 % interval reaches; infinite with less than two rows' worth, or one day."""
        from scipy.special import stdtrit

        free = self.effective - 1 if self.days is None else self.days.max()
        return float(stdtrit(free, (1 + CONFIDENCE) / 2)) if free >= 1 else math.inf

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
        share = self.unanswered_share
        return WeightedEstimate(value, low, high, self.picked, self.answered, self.effective, share)
