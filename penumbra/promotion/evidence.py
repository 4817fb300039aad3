"""Does the candidate deserve to be live? A verdict from paired losses in blocks of days, at any time, as often as one
likes: looking every day doesn't make false promotions more likely. The statistic is described in sequential.py.

What is assumed: blocks of two equal models could swap names (their loss differences are symmetric about 0 given the
past), days further apart than a few blocks don't lean on each other, and the rows with labels are like those without.
The comparison is that of Choe and Ramdas ("Comparing sequential forecasters", 2023), by blocks in place of rounds.
What no test can know is a storm that hasn't come yet: a candidate that is a bit better on calm days and much worse on
rare ones is promoted, and demoted afterwards by the same test turned round.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import polars as pl

from penumbra.promotion.sequential import compute_log_e_values, compute_lower_bound, estimate_blocks_needed

PromotionRule = Literal["superiority", "non-inferiority"]
EvidenceVerdict = Literal["promote", "reject", "keep collecting"]
MAX_LOG_E_VALUE = 700.0  # of a logarithm, so that its exponential is a number


class EvidenceSettings(Protocol):
    """Of the settings' section `promotion`."""

    block_days: int
    promote_level: float
    harm_level: float
    shadow_days: int
    margin: float


@dataclass(frozen=True)
class Evidence:
    """What the complete blocks say. Losses are means per row, `difference` is live minus candidate: above 0 the
    candidate is better, and `low` to `high` is its confidence sequence, each end at its own level (None: nothing can
    be said yet). `better` and `worse` are e-values: odds at which one could have bet against "no better", "no worse".
    """

    rule: PromotionRule
    verdict: EvidenceVerdict
    days: int
    labels: int
    incomplete_blocks: int
    live_loss: float | None
    candidate_loss: float | None
    difference: float | None
    low: float | None
    high: float | None
    better: float
    worse: float
    days_needed: int | None
    labels_needed: int | None

    def __str__(self) -> str:
        seen = f"{self.verdict}: {self.days:,} days, {self.labels:,} labels; e-values {self.better:.3g} for better"
        seen += f" and {self.worse:.3g} for worse"
        if self.difference is not None:
            seen += f"; loss {self.difference:+.5f} a row in its favour ({_format_bound(self.low)} to {_format_bound(self.high)})"
        return seen + (f"; about {self.days_needed:,} more days" if self.days_needed else "")


def compute_evidence(blocks: pl.DataFrame, rule: PromotionRule, terms: EvidenceSettings) -> Evidence:
    """The evidence of `cohorts.cohorts`' blocks; the incomplete ones count for nothing.

    "superiority", for a new recipe: promoted once it is shown to be better. "non-inferiority", for the same recipe on
    newer data: promoted after the terms' shadow days, where its mean loss isn't higher by more than the terms' margin:
    in a week nothing can be shown to be worse at such odds, but what is broken looks it. Either is rejected once it is
    shown to be worse.
    To watch over a promotion, put the previous model in the place of live and count blocks from the promotion on:
    "reject" then means roll back.
    """
    used = blocks.filter("complete").sort("first")
    sums, weights = used["difference"].to_numpy(), used["labels"].cast(pl.Float64).to_numpy()
    better, worse = (_final_e_value(compute_log_e_values(sign * sums)) for sign in (1, -1))
    days, labels = used.height * terms.block_days, int(used["labels"].sum())
    difference = _mean_loss(used["difference"], labels)
    verdict = _decide_verdict(better, worse, days, difference, rule, terms)
    needed = None if verdict != "keep collecting" else _days_needed(sums, days, rule, terms)
    low, high = _confidence_interval(sums, weights, terms)
    return Evidence(
        rule=rule,
        verdict=verdict,
        days=days,
        labels=labels,
        incomplete_blocks=blocks.height - used.height,
        live_loss=_mean_loss(used["live"], labels),
        candidate_loss=_mean_loss(used["candidate"], labels),
        difference=difference,
        low=low,
        high=high,
        better=better,
        worse=worse,
        days_needed=needed,
        labels_needed=None if needed is None or not days else round(needed * labels / days),
    )


def compute_e_value_path(blocks: pl.DataFrame) -> pl.DataFrame:
    """How the evidence grew: for each complete block its `first` day and the e-values `better` and `worse` after it."""
    used = blocks.filter("complete").sort("first")
    sums = used["difference"].to_numpy()
    values = {
        name: np.exp(np.minimum(compute_log_e_values(sign * sums), MAX_LOG_E_VALUE))
        for name, sign in E_VALUE_SIGNS.items()
    }
    return used.select("first").with_columns(**{name: pl.Series(value) for name, value in values.items()})


E_VALUE_SIGNS = {"better": 1, "worse": -1}


def _decide_verdict(
    better: float, worse: float, days: int, difference: float | None, rule: PromotionRule, terms: EvidenceSettings
) -> EvidenceVerdict:
    if worse >= 1 / terms.harm_level:
        return "reject"
    waited = days >= terms.shadow_days and (difference or 0.0) >= -terms.margin
    earned = better >= 1 / terms.promote_level if rule == "superiority" else waited
    return "promote" if earned else "keep collecting"


def _days_needed(sums: np.ndarray, days: int, rule: PromotionRule, terms: EvidenceSettings) -> int | None:
    """To a verdict, should the days to come be like those so far; None where that is years away, or unknown."""
    if rule == "non-inferiority":
        return terms.shadow_days - days if days < terms.shadow_days else None
    favour = sums.sum() > 0
    blocks = estimate_blocks_needed(sums if favour else -sums, terms.promote_level if favour else terms.harm_level)
    return None if blocks is None else blocks * terms.block_days


def _confidence_interval(
    sums: np.ndarray, weights: np.ndarray, terms: EvidenceSettings
) -> tuple[float | None, float | None]:
    if not weights.sum():
        return None, None
    low, high = (
        compute_lower_bound(sums, weights, terms.promote_level),
        compute_lower_bound(-sums, weights, terms.harm_level),
    )
    return low, None if high is None else -high


def _final_e_value(path: np.ndarray) -> float:
    return math.exp(min(float(path[-1]), MAX_LOG_E_VALUE)) if len(path) else 1.0


def _mean_loss(sums: pl.Series, labels: int) -> float | None:
    return float(sums.sum()) / labels if labels else None


def _format_bound(bound: float | None) -> str:
    return "unknown" if bound is None else f"{bound:+.5f}"
